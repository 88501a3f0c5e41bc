//! Keys of the rate limit counters.

use super::Digest;

/// Kind of a rate limit key: the subject whose attempts to authenticate are counted or remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateLimitKeyKind {
    /// Source address of attempts to authenticate, or a network around it, for counting the failed
    /// attempts from there.
    Address,
    /// Source address of attempts to authenticate, for counting the refused attempts. Refusals cost
    /// an attacker nothing, so their counters must not evict those of failures.
    RefusedAddress,
    /// User name for which passwords are tried, for counting the failed attempts on that name.
    Name,
    /// User name and network (/24 of IPv4, /48 of IPv6) of attempts, for counting the failed ones.
    Network,
    /// Known device, that is, a user name and an address of an earlier login by that user, for
    /// counting its own failed attempts.
    KnownDevice,
    /// User name and a wrong password, for counting repeated failures with it once.
    RepeatedGuess,
}

impl RateLimitKeyKind {
    /// All kinds of key that have counters of failures or refusals.
    pub const COUNTED: [Self; 5] =
        [Self::Address, Self::RefusedAddress, Self::Name, Self::Network, Self::KnownDevice];

    /// Returns the name of this kind of key, as used in the Redis keys of rate limit counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::RefusedAddress => "refused",
            Self::Name => "name",
            Self::Network => "network",
            Self::KnownDevice => "device",
            Self::RepeatedGuess => "guess",
        }
    }
}

/// Key of a rate limit counter: a digest of an address, a name, or both. Only the digest is kept,
/// because an unknown user name may be a password that was typed into the wrong field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimitKey {
    kind: RateLimitKeyKind,
    digest: [u8; 16],
}

impl RateLimitKey {
    /// Creates a key of this kind from its `parts`, such as a name and an address.
    pub fn new(kind: RateLimitKeyKind, parts: &[&[u8]]) -> Self {
        let digests: Vec<u8> = parts.iter().flat_map(|part| *Digest::of(part).as_bytes()).collect();
        let mut digest = [0; 16];
        let whole = Digest::of(&digests);
        digest.iter_mut().zip(whole.as_bytes()).for_each(|(to, from)| *to = *from);
        Self { kind, digest }
    }

    /// Restores a key from its kind and digest, as a store keeps them.
    pub const fn from_parts(kind: RateLimitKeyKind, digest: [u8; 16]) -> Self {
        Self { kind, digest }
    }

    /// Returns the kind of the rate limit key.
    pub const fn kind(&self) -> RateLimitKeyKind {
        self.kind
    }

    /// Returns the 128-bit digest that identifies the rate limit key within its kind.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.digest
    }
}
