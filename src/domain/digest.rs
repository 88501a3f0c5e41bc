//! SHA-256 digests, the form in which stores keep token verifiers and client secrets, and
//! HMAC-SHA256.

use std::fmt;
use std::hash::{Hash, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::random_bytes;

/// A SHA-256 digest, compared in constant time.
///
/// A slow password hash is not needed: token verifiers and generated client secrets are random and
/// too long to be guessed. Other client secrets are stored as password hashes.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Creates a digest from its 32 bytes, as a store holds them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes of the digest, which a store holds.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// A random key for message authentication codes, which exists only in the memory of the process.
#[derive(Clone)]
pub struct ProcessKey(Hmac<Sha256>);

impl ProcessKey {
    /// Generates a key. Call this at the start of the process, and not in a request.
    #[expect(
        clippy::expect_used,
        reason = "the standard library needs random bytes before, for its hash maps"
    )]
    pub fn generate() -> Self {
        let key = Zeroizing::new(random_bytes::<32>().expect("random bytes at the start"));
        Self(keyed(&*key))
    }

    /// Returns the HMAC-SHA256 (RFC 2104) of the lengths and contents of `parts`.
    pub fn mac(&self, parts: &[&[u8]]) -> Digest {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        Digest(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessKey(…)")
    }
}

#[expect(clippy::expect_used, reason = "HMAC accepts keys of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("a key of any length")
}

/// Returns the HMAC-SHA256 (RFC 2104), under `key`, of the concatenated `parts`.
pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Returns the first `N` bytes of a SHA-256 digest or an HMAC-SHA256.
pub(super) fn truncated<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut first = [0; N];
    first.copy_from_slice(bytes.split_at(N).0);
    first
}
