//! bcrypt of a digest of the password, for verifying hashes of other servers. New hashes never use
//! it.
//!
//! Django (`bcrypt_sha256$$2b$…`) and WordPress (`$wp$2y$…`) hash the password before bcrypt, so
//! that all of a long password counts. The strings are stored as they are imported. The digests are
//! written in 64 characters, so bcrypt truncates none of them.

use super::bcrypt_hash::BcryptHash;
use super::error::HashError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha384};
use zeroize::Zeroizing;

/// Key of the HMAC with which WordPress hashes a password before bcrypt.
const WORDPRESS_KEY: &[u8] = b"wp-sha384";

/// Prefixes that Django and WordPress put before the bcrypt string.
pub(super) const DJANGO: &str = "bcrypt_sha256$";
pub(super) const WORDPRESS: &str = "$wp";

/// Digest that a framework computes of a password before bcrypt.
enum Prehash {
    /// Django: SHA-256 in hexadecimal.
    Sha256Hex,
    /// WordPress: HMAC-SHA-384 in base64, of the password without white space at its ends.
    HmacSha384,
}

/// A bcrypt hash of a digest of the password.
pub(super) struct PrehashedBcrypt {
    prehash: Prehash,
    bcrypt: BcryptHash,
}

impl PrehashedBcrypt {
    /// Parses the string of Django or WordPress.
    pub(super) fn parse(encoded: &str) -> Result<Self, HashError> {
        let (prehash, bcrypt) = if let Some(bcrypt) = encoded.strip_prefix(DJANGO) {
            (Prehash::Sha256Hex, bcrypt)
        } else if let Some(bcrypt) = encoded.strip_prefix(WORDPRESS) {
            (Prehash::HmacSha384, bcrypt)
        } else {
            return Err(HashError::Malformed("bcrypt_sha256$$2b$… or $wp$2y$…"));
        };
        Ok(Self { prehash, bcrypt: BcryptHash::parse(bcrypt)? })
    }

    /// Returns whether the password matches this hash.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let digest = Zeroizing::new(match self.prehash {
            Prehash::Sha256Hex => hex::encode(Sha256::digest(password)),
            Prehash::HmacSha384 => wordpress_digest(password),
        });
        self.bcrypt.matches(digest.as_bytes(), false)
    }
}

/// Returns the digest of a password that WordPress passes to bcrypt. WordPress removes white space
/// at both ends of a password, as PHP's `trim` does.
fn wordpress_digest(password: &[u8]) -> String {
    let is_kept = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0 | 0x0b);
    let start = password.iter().position(is_kept).unwrap_or(password.len());
    let end = password.iter().rposition(is_kept).map_or(start, |last| last + 1);
    #[expect(clippy::expect_used, reason = "HMAC accepts keys of every length")]
    let mut mac = Hmac::<Sha384>::new_from_slice(WORDPRESS_KEY).expect("a key of any length");
    mac.update(password.get(start..end).unwrap_or_default());
    STANDARD.encode(mac.finalize().into_bytes())
}
