//! Rate limit keys, derived from addresses and names.

use std::net::IpAddr;

use super::CredentialKind;
use crate::domain::{RateLimitKey, RateLimitKeyKind};

/// Rate limit keys of the address and the network that an attempt to authenticate comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) address: RateLimitKey,
    /// Key of the attempt's user name with the network of the address (/24 of IPv4, /48 of IPv6).
    pub(super) network: RateLimitKey,
}

impl Origin {
    pub(super) fn new(kind: CredentialKind, from: IpAddr, name: RateLimitKey) -> Self {
        Self { address: address(kind, from), network: network(name, from) }
    }
}

/// Returns the rate limit key of an address. An IPv6 address counts by its first 64 bits, since its
/// holder also has the other addresses of that prefix (RFC 6177 §2). An IPv4-mapped IPv6 address
/// counts as the IPv4 address.
pub(super) fn address(kind: CredentialKind, address: IpAddr) -> RateLimitKey {
    let prefix = match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => (address.to_bits() >> 64).to_be_bytes().to_vec(),
    };
    RateLimitKey::new(RateLimitKeyKind::Address, &[kind.as_str().as_bytes(), &prefix])
}

/// Returns the rate limit key of a user name together with the network of an address: the /24 of
/// IPv4, or the /48 that an IPv6 site is assigned (RFC 6177 §2), which has 65,536 prefixes of 64
/// bits.
fn network(name: RateLimitKey, address: IpAddr) -> RateLimitKey {
    let prefix = match address.to_canonical() {
        IpAddr::V4(address) => (address.to_bits() >> 8).to_be_bytes().to_vec(),
        IpAddr::V6(address) => (address.to_bits() >> 80).to_be_bytes().to_vec(),
    };
    RateLimitKey::new(RateLimitKeyKind::Network, &[name.as_bytes(), &prefix])
}

/// Returns the rate limit key that counts the refused, not the failed, attempts from an address.
pub(super) fn refusals(address: RateLimitKey) -> RateLimitKey {
    RateLimitKey::new(RateLimitKeyKind::RefusedAddress, &[address.as_bytes()])
}

/// Returns the rate limit key of the user name for which credentials are guessed.
pub(super) fn name(kind: CredentialKind, name: &str) -> RateLimitKey {
    RateLimitKey::new(RateLimitKeyKind::Name, &[kind.as_str().as_bytes(), name.as_bytes()])
}

/// Returns the rate limit key of a known device: user name and address of an earlier login.
pub(super) fn known_device(name: RateLimitKey, address: RateLimitKey) -> RateLimitKey {
    RateLimitKey::new(RateLimitKeyKind::KnownDevice, &[name.as_bytes(), address.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_key(text: &str) -> RateLimitKey {
        address(CredentialKind::Password, text.parse().unwrap())
    }

    #[test]
    fn address_key_is_ipv6_64_bit_prefix_or_whole_ipv4_address() {
        assert_eq!(address_key("2001:db8:0:1::1"), address_key("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(address_key("2001:db8:0:1::1"), address_key("2001:db8:0:2::1"));
        assert_ne!(address_key("192.0.2.1"), address_key("192.0.2.2"));
        assert_eq!(address_key("::ffff:192.0.2.1"), address_key("192.0.2.1"));
        assert_ne!(address_key("::ffff:192.0.2.1"), address_key("::ffff:192.0.2.2"));
    }

    #[test]
    fn network_key_is_ipv4_24_or_ipv6_48_bit_prefix_per_username() {
        let alice = name(CredentialKind::Password, "alice");
        let network_key = |text: &str| network(alice, text.parse().unwrap());
        assert_eq!(network_key("2001:db8:7:1::1"), network_key("2001:db8:7:ffff::1"));
        assert_ne!(network_key("2001:db8:7::1"), network_key("2001:db8:8::1"));
        assert_eq!(network_key("192.0.2.1"), network_key("::ffff:192.0.2.255"));
        assert_ne!(network_key("192.0.2.1"), network_key("192.0.3.1"));
        let bob = name(CredentialKind::Password, "bob");
        assert_ne!(network_key("192.0.2.1"), network(bob, "192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn keys_of_different_credential_kinds_differ() {
        let at = "192.0.2.1".parse().unwrap();
        assert_ne!(
            address(CredentialKind::Password, at),
            address(CredentialKind::ClientSecret, at)
        );
        assert_ne!(
            name(CredentialKind::Password, "admin"),
            name(CredentialKind::Operator, "admin")
        );
    }
}
