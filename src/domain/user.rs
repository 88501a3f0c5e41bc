//! Users (resource owners), and the rules for their names and passwords.

use super::{ClientId, PasswordHash, Scope, Timestamp, UserId};

/// Maximum length of a user name, in bytes of UTF-8.
pub const MAX_USERNAME_BYTES: usize = 255;

/// A user (resource owner, RFC 6749 §1.1).
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// User id, which never changes.
    pub id: UserId,
    /// User name, which is unique and compared byte by byte.
    pub username: String,
    /// Hash of the user's password.
    pub password: PasswordHash,
    /// Maximum scope that the user may be granted. `None` means no limit beyond the client's.
    pub scopes: Option<Scope>,
    /// Whether the user is enabled. A disabled user cannot log in and has no sessions.
    pub enabled: bool,
    /// Generation: a counter, incremented by every event that ends all sessions of the user (a new
    /// password or disabling). Sessions that recorded a lower generation are invalid.
    pub generation: u64,
    /// Version: a counter, incremented by every change of the user, for optimistic concurrency.
    pub version: u64,
    /// Time at which the user was created.
    pub created_at: Timestamp,
    /// Time of the last change of the user.
    pub updated_at: Timestamp,
}

/// Beginnings of client ids that are no user names: URLs of client metadata documents, and ids of
/// dynamically registered clients.
pub const RESERVED_NAME_PREFIXES: [&str; 2] = ["https://", "dcr-"];

/// Error returned for a user name that violates the rules on length, characters and form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    /// The user name has a wrong length, a character that is not allowed, or the form of an id.
    #[error(
        "expected a user name of 1 to {MAX_USERNAME_BYTES} bytes without control characters or space at either end, and not 24 hexadecimal digits, which is an id"
    )]
    Malformed,
    /// The user name begins with a prefix that is reserved for ids of clients.
    #[error("expected a user name that does not begin with {}, as ids of clients do", RESERVED_NAME_PREFIXES.join(" or "))]
    Reserved,
}

/// Checks the user name of a new user.
///
/// # Errors
/// [`InvalidUsername`] if the name is empty, exceeds [`MAX_USERNAME_BYTES`], has white space at
/// either end, contains a control character, has the form of a user id, or begins with a prefix of
/// client ids.
pub fn check_username(name: &str) -> Result<(), InvalidUsername> {
    if name.trim() == name { check_kept_username(name) } else { Err(InvalidUsername::Malformed) }
}

/// Checks the user name of an imported user. White space at either end is allowed, because the user
/// could otherwise no longer log in.
///
/// # Errors
/// [`InvalidUsername`] if the name is empty, exceeds [`MAX_USERNAME_BYTES`], contains a control
/// character, has the form of a user id, or begins with a prefix of client ids.
pub fn check_kept_username(name: &str) -> Result<(), InvalidUsername> {
    let fits = !name.is_empty() && name.len() <= MAX_USERNAME_BYTES;
    let clean = !name.chars().any(char::is_control);
    // Commands accept a name or an id, so a name must not look like the id of another user.
    let like_an_id = name.parse::<UserId>().is_ok();
    if !fits || !clean || like_an_id {
        return Err(InvalidUsername::Malformed);
    }
    let begins_with = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if RESERVED_NAME_PREFIXES.iter().any(|prefix| begins_with(prefix)) {
        return Err(InvalidUsername::Reserved);
    }
    Ok(())
}

/// Returns whether a resource server could take the user with this name and id for `client`. It
/// names a principal by `username`, by `sub`, or by `client_id` if there is no user.
pub fn is_same_principal(username: &str, id: Option<UserId>, client: &ClientId) -> bool {
    username == client.as_str() || id.is_some_and(|id| id.to_string() == client.as_str())
}

/// Error returned for a new password that is empty or too short or that no login request can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// The password is empty. RFC 6749 §3.2: "Parameters sent without a value MUST be treated as if
    /// they were omitted".
    #[error("the password is empty")]
    Empty,
    /// The password contains a character that a login request cannot carry.
    #[error(
        "the password contains a line break or another control character, which a login cannot send"
    )]
    ControlCharacter,
    /// The password has fewer characters than the minimum, which this variant holds.
    #[error("expected a password of at least {0} characters")]
    TooShort(usize),
}

/// Checks that a login request can carry the password and that the password has at least `least`
/// characters. NIST SP 800-63B-4 §3.1.1.2: "Each Unicode code point SHALL be counted as a single
/// character when evaluating password length".
///
/// # Errors
/// [`InvalidPassword`] with the violated rule. The error contains no part of the password.
pub fn check_password(password: &str, least: usize) -> Result<(), InvalidPassword> {
    if password.is_empty() {
        return Err(InvalidPassword::Empty);
    }
    if !is_login_text(password) {
        return Err(InvalidPassword::ControlCharacter);
    }
    if password.chars().count() < least { Err(InvalidPassword::TooShort(least)) } else { Ok(()) }
}

/// Returns whether a user name or password consists of characters that a login request can carry:
/// `UNICODECHARNOCRLF` (RFC 6749 Appendix A).
pub fn is_login_text(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !c.is_ascii_control())
}
