//! A password's hash as the stores keep it.
//!
//! Here is the encoded text and where it came from. What the text means, and whether it can be read at all, is the
//! business of `password`: a store hands back whatever it holds, and a broken row must not keep it from doing so.

use std::fmt;

/// An encoded password hash: a PHC string (`$argon2id$…`, `$scrypt$…`, `$pbkdf2-sha256$…`) or bcrypt (`$2a$…`, `$2b$…`, `$2y$…`).
///
/// It is not a secret in the way a password is, but it is all that an offline guesser needs. So it is never
/// serialized, and its `Debug` shows the scheme and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    encoded: String,
    imported: bool,
}

impl PasswordHash {
    /// A hash that Sentinel made. It stands for the whole password, however long.
    pub fn own(encoded: String) -> Self {
        Self { encoded, imported: false }
    }

    /// A hash that was made elsewhere. If it is bcrypt, only the first 72 bytes of the password went into it, and the
    /// same cut is made when it is verified, since that is how the old server let its users in.
    pub fn imported(encoded: String) -> Self {
        Self { encoded, imported: true }
    }

    /// The text as it is stored. Not to be logged, nor shown.
    pub fn encoded(&self) -> &str {
        &self.encoded
    }

    /// Whether the hash was made elsewhere.
    pub fn is_imported(&self) -> bool {
        self.imported
    }

    /// The scheme's name if it is one we know. Anything else is "unknown" rather than a piece of the text, which may
    /// be a password that somebody once stored in the clear.
    fn scheme(&self) -> &'static str {
        const KNOWN: [&str; 10] = [
            "argon2id",
            "argon2i",
            "argon2d",
            "2a",
            "2b",
            "2y",
            "scrypt",
            "pbkdf2-sha1",
            "pbkdf2-sha256",
            "pbkdf2-sha512",
        ];
        let named = self.encoded.split('$').nth(1).unwrap_or_default();
        KNOWN.into_iter().find(|known| *known == named).unwrap_or("unknown")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("scheme", &self.scheme())
            .field("imported", &self.imported)
            .finish_non_exhaustive()
    }
}
