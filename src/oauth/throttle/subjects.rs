//! Rate limit keys, derived from addresses and names.

use std::net::IpAddr;

use super::Guessed;
use crate::domain::{Subject, SubjectKind};

/// Returns the key of an address. An IPv6 address counts by its first 64 bits, since its holder
/// also has the other addresses of that prefix (RFC 6177 §2). An IPv4-mapped IPv6 address counts as
/// the IPv4 address.
pub(super) fn address(what: Guessed, address: IpAddr) -> Subject {
    let network = match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => (address.to_bits() >> 64).to_be_bytes().to_vec(),
    };
    Subject::of(SubjectKind::Address, &[what.as_bytes(), &network])
}

/// Returns the key of a name and the wider network of an address: the /24 of IPv4, and of IPv6 the
/// /48 that a site is assigned (RFC 6177 §2), which contains 65,536 prefixes of 64 bits.
pub(super) fn network(name: Subject, address: IpAddr) -> Subject {
    let network = match address.to_canonical() {
        IpAddr::V4(address) => (address.to_bits() >> 8).to_be_bytes().to_vec(),
        IpAddr::V6(address) => (address.to_bits() >> 80).to_be_bytes().to_vec(),
    };
    Subject::of(SubjectKind::Network, &[name.as_bytes(), &network])
}

/// Returns the key for refusals of an address, which are counted apart from its failures.
pub(super) fn refusals(address: Subject) -> Subject {
    Subject::of(SubjectKind::RefusedAddress, &[address.as_bytes()])
}

/// Returns the key of the name that attempts are made on.
pub(super) fn name(what: Guessed, name: &str) -> Subject {
    Subject::of(SubjectKind::Name, &[what.as_bytes(), name.as_bytes()])
}

/// Returns the key of a known device: a pair of name and address.
pub(super) fn acquaintance(name: Subject, address: Subject) -> Subject {
    Subject::of(SubjectKind::Acquaintance, &[name.as_bytes(), address.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Subject {
        address(Guessed::Password, text.parse().unwrap())
    }

    #[test]
    fn address_key_is_ipv6_64_bit_prefix_or_whole_ipv4_address() {
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("::ffff:192.0.2.1"), of("::ffff:192.0.2.2"));
    }

    #[test]
    fn network_key_is_ipv4_24_or_ipv6_48_bit_prefix_per_username() {
        let alice = name(Guessed::Password, "alice");
        let of = |text: &str| network(alice, text.parse().unwrap());
        assert_eq!(of("2001:db8:7:1::1"), of("2001:db8:7:ffff::1"));
        assert_ne!(of("2001:db8:7::1"), of("2001:db8:8::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.255"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        let bob = name(Guessed::Password, "bob");
        assert_ne!(of("192.0.2.1"), network(bob, "192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn keys_of_different_credential_kinds_differ() {
        let at = "192.0.2.1".parse().unwrap();
        assert_ne!(address(Guessed::Password, at), address(Guessed::ClientSecret, at));
        assert_ne!(name(Guessed::Password, "admin"), name(Guessed::Operator, "admin"));
    }
}
