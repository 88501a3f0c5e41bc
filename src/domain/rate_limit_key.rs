//! Keys of the rate limit counters.

use super::Digest;

/// Kind of rate limit key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateLimitKeyKind {
    /// Source address of attempts.
    Address,
    /// Source address, for counting its refused attempts. Refusals cost an attacker nothing, so
    /// their counters must not evict those of failures.
    RefusedAddress,
    /// Name for which a password is tried.
    Name,
    /// Name, together with the wider network that contains the source address.
    Network,
    /// Known device: a name, together with an address from which it has logged in before.
    KnownDevice,
}

impl RateLimitKeyKind {
    /// Returns the name of the kind in the Redis keys of shared counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::RefusedAddress => "refused",
            Self::Name => "name",
            Self::Network => "network",
            Self::KnownDevice => "acquaintance",
        }
    }
}

/// A digest of an address, a name, or both. Only the digest is kept, because a name of no user may
/// be a password that was typed into the wrong field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimitKey {
    kind: RateLimitKeyKind,
    digest: [u8; 16],
}

impl RateLimitKey {
    /// Creates the key of this kind that the parts identify together.
    pub fn new(kind: RateLimitKeyKind, parts: &[&[u8]]) -> Self {
        let digests: Vec<u8> = parts.iter().flat_map(|part| *Digest::of(part).as_bytes()).collect();
        let mut digest = [0; 16];
        let whole = Digest::of(&digests);
        digest.iter_mut().zip(whole.as_bytes()).for_each(|(to, from)| *to = *from);
        Self { kind, digest }
    }

    /// Returns the kind of the key.
    pub const fn kind(&self) -> RateLimitKeyKind {
        self.kind
    }

    /// Returns the 128 bits that identify the key within its kind.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.digest
    }
}
