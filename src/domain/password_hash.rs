//! Password hashes as stores keep them: the encoded text and its origin.
//!
//! Parsing and verification are in `password`. A store returns the text that it holds, even if it
//! is malformed, so that one damaged row does not make the look-up fail.

use std::fmt;

/// An encoded password hash: a PHC string (`$argon2id$…`, `$scrypt$…`, `$pbkdf2-sha256$…`) or
/// bcrypt (`$2a$…`, `$2b$…`, `$2y$…`).
///
/// A hash is all that is needed for offline guessing. It is therefore never serialized, and its
/// `Debug` output shows only the hash function and whether the hash was imported.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    encoded: String,
    imported: bool,
}

impl PasswordHash {
    /// Wraps the encoded text of a hash that Sentinel computed from the whole password.
    pub fn own(encoded: String) -> Self {
        Self { encoded, imported: false }
    }

    /// Wraps the text of a hash that another server computed. An imported bcrypt hash covers only
    /// the first 72 bytes of the password, and verification truncates the password likewise.
    pub fn imported(encoded: String) -> Self {
        Self { encoded, imported: true }
    }

    /// Returns the encoded text of the password hash, which must not be logged or shown.
    pub fn encoded(&self) -> &str {
        &self.encoded
    }

    /// Returns whether the password hash was imported from another server.
    pub fn is_imported(&self) -> bool {
        self.imported
    }

    /// Returns the name of the hash function, or "unknown". No part of an unknown encoded text is
    /// returned, because it may be a password stored in plain text.
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
