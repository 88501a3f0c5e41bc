//! Users (resource owners), and the rules for their passwords. Rules for names are in `username`.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::{PasswordHash, Scope, Timestamp, UserId};

/// A user (resource owner, RFC 6749 §1.1).
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// User id, which never changes.
    pub id: UserId,
    /// User name as it was typed, without the spaces at its ends. Names are compared by
    /// [`username_key`](super::username_key).
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

/// Checks that a login request can carry the password and that the password, as it is hashed
/// ([`to_nfc`]), has at least `least` characters. NIST SP 800-63B-4 §3.1.1.2: "Each
/// Unicode code point SHALL be counted as a single character when evaluating password length".
///
/// # Errors
/// [`InvalidPassword`] with the violated rule. The error contains no part of the password.
pub fn check_password(password: &str, least: usize) -> Result<(), InvalidPassword> {
    if password.is_empty() {
        return Err(InvalidPassword::Empty);
    }
    if password.chars().any(|c| c != '\t' && c.is_control()) {
        return Err(InvalidPassword::ControlCharacter);
    }
    let length = password.nfc().count();
    if length < least { Err(InvalidPassword::TooShort(least)) } else { Ok(()) }
}

/// Returns a text in Unicode Normalization Form C, in which passwords are hashed. Systems differ in
/// the form of the text that a user types. RFC 8265 §4.2.2: "Unicode Normalization Form C (NFC)
/// MUST be applied to all strings."
pub fn to_nfc(text: &str) -> Cow<'_, str> {
    if is_nfc(text) { text.into() } else { text.nfc().collect::<String>().into() }
}

/// Returns whether a user name or password consists of characters that a login request can carry:
/// `UNICODECHARNOCRLF` (RFC 6749 Appendix A).
pub fn is_login_text(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !c.is_ascii_control())
}
