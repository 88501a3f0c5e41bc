//! Users: who owns the resources.

use super::{PasswordHash, Scope, Timestamp, UserId};

/// The longest user name, in bytes of UTF-8.
pub const MAX_USERNAME_BYTES: usize = 255;

/// Somebody who can log in.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Names the user for good.
    pub id: UserId,
    /// Unique, compared byte by byte.
    pub username: String,
    /// The hash of the password.
    pub password: PasswordHash,
    /// What the user may be granted; `None` puts no limit beside the client's.
    pub scopes: Option<Scope>,
    /// A disabled user cannot log in and has no session.
    pub enabled: bool,
    /// Grows with every event that ends all of the user's sessions: a new password, being disabled.
    /// A session is worth nothing under another generation than the one it was started in.
    pub generation: u64,
    /// Grows with every change of the record; guards against lost updates.
    pub version: u64,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the record last changed.
    pub updated_at: Timestamp,
}

/// The text cannot be a user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a user name of 1 to {MAX_USERNAME_BYTES} bytes without control characters or space at either end, and not 24 hexadecimal digits, which is an id"
)]
pub struct InvalidUsername;

/// Whether a new user may be called `name`.
///
/// # Errors
/// [`InvalidUsername`] for what would be mistaken for another name, or could not be typed.
pub fn check_username(name: &str) -> Result<(), InvalidUsername> {
    if name.trim() == name { check_kept_username(name) } else { Err(InvalidUsername) }
}

/// Whether a user who comes from elsewhere may go on being called `name`: with space at either end, too,
/// or they would be locked out.
///
/// # Errors
/// [`InvalidUsername`], as [`check_username`].
pub fn check_kept_username(name: &str) -> Result<(), InvalidUsername> {
    let fits = !name.is_empty() && name.len() <= MAX_USERNAME_BYTES;
    let clean = !name.chars().any(char::is_control);
    // The command line takes either, and must not mistake one user for another.
    let like_an_id = name.parse::<UserId>().is_ok();
    if fits && clean && !like_an_id { Ok(()) } else { Err(InvalidUsername) }
}

/// The text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// RFC 6749 §3.2: "Parameters sent without a value MUST be treated as if they were omitted".
    #[error("the password is empty")]
    Empty,
    /// It has a character that a login cannot carry.
    #[error(
        "the password holds a line break or another control character, with which nobody could log in"
    )]
    ControlCharacter,
    /// It is shorter than is asked for.
    #[error("expected a password of at least {0} characters")]
    TooShort(usize),
}

/// Whether somebody could log in with this password, and it has `least` characters: NIST SP 800-63B-4 §3.1.1.2,
/// "Each Unicode code point SHALL be counted as a single character when evaluating password length".
///
/// # Errors
/// [`InvalidPassword`], in which nothing of the password is.
pub fn check_password(password: &str, least: usize) -> Result<(), InvalidPassword> {
    if password.is_empty() {
        return Err(InvalidPassword::Empty);
    }
    if !is_login_text(password) {
        return Err(InvalidPassword::ControlCharacter);
    }
    if password.chars().count() < least { Err(InvalidPassword::TooShort(least)) } else { Ok(()) }
}

/// Whether a user name or a password is made of characters that a login can carry:
/// `UNICODECHARNOCRLF` (RFC 6749 Appendix A).
pub fn is_login_text(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !c.is_ascii_control())
}
