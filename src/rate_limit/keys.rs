//! Rate limit keys and nested budgets, derived from addresses and names.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::CredentialKind;
use crate::domain::{RateLimitKey, RateLimitKeyKind, WindowCounter, to_nfc, username_key};

/// Lengths of the IPv4 prefixes that have a budget, the longest first, each with the factor by
/// which `throttle.failures_per_address` is multiplied.
const IPV4_BUDGETS: [(u8, u32); 2] = [(32, 1), (24, 8)];
/// Lengths of the IPv6 prefixes that have a budget, with their factors. The holder of an address
/// has the whole /64; a site is assigned up to a /48 (RFC 6177 §2), which has 65,536 of them.
const IPV6_BUDGETS: [(u8, u32); 3] = [(64, 1), (56, 8), (48, 32)];

/// Number of budgets that the known devices of a name share. There are few, so that all of them can
/// be cleared by the name alone, and several, so that failures at one rarely concern another.
const DEVICE_BUDGETS: u8 = 8;

/// Well-known prefix of IPv4 addresses that a NAT64 translates: 64:ff9b::/96 (RFC 6052 §2.1).
const NAT64_PREFIX: u128 = 0x64_ff9b << 96;

/// Budget of failures of an address, or of a network around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressBudget {
    pub(super) key: RateLimitKey,
    /// Maximum number of failures in the sliding window.
    pub(super) limit: u32,
    pub(super) network: IpNet,
    /// Whether this is the budget of the address itself, not of a network around it.
    pub(super) is_address: bool,
}

impl AddressBudget {
    /// Returns whether these failures are the maximum, so that attempts are refused.
    pub(super) fn is_spent(&self, failures: &WindowCounter) -> bool {
        failures.total() >= self.limit
    }
}

/// Rate limit keys of the address and the network that an attempt to authenticate comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) address: RateLimitKey,
    /// Key of the attempt's user name with the network of the address (/24 of IPv4, /48 of IPv6).
    pub(super) network: RateLimitKey,
    /// Key of the attempt's user name with the address.
    pub(super) device: RateLimitKey,
    /// Key of the budget of failures of a known device with this name and address.
    pub(super) device_budget: RateLimitKey,
}

impl Origin {
    pub(super) fn new(kind: CredentialKind, from: IpAddr, name: RateLimitKey) -> Self {
        let address = address(kind, from);
        let parts = [name.as_bytes().as_slice(), address.as_bytes()];
        let device = RateLimitKey::new(RateLimitKeyKind::KnownDevice, &parts);
        let [first, ..] = address.as_bytes();
        let device_budget = device_budget(name, first % DEVICE_BUDGETS);
        Self { address, network: network(name, from), device, device_budget }
    }
}

/// Returns the address that counts for rate limits: the IPv4 address inside an IPv4-mapped or NAT64
/// address, otherwise the address itself.
fn effective(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if address.to_bits() >> 32 == NAT64_PREFIX >> 32 => {
            let [.., a, b, c, d] = address.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        other => other,
    }
}

/// Returns the first `length` bits of an address, in whole bytes.
fn prefix(address: IpAddr, length: u8) -> Vec<u8> {
    let mut octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    octets.truncate(usize::from(length / 8));
    octets
}

/// Returns the nested budgets of an address, that of the address itself first. `failures` is the
/// maximum number of failures of a single address.
pub(super) fn budgets(kind: CredentialKind, from: IpAddr, failures: u32) -> Vec<AddressBudget> {
    let from = effective(from);
    let lengths: &[(u8, u32)] = if from.is_ipv4() { &IPV4_BUDGETS } else { &IPV6_BUDGETS };
    let budget = |(length, factor): &(u8, u32)| AddressBudget {
        key: address_key(kind, from, *length),
        limit: failures.saturating_mul(*factor),
        network: IpNet::new(from, *length).unwrap_or_else(|_| from.into()).trunc(),
        is_address: *factor == 1,
    };
    lengths.iter().map(budget).collect()
}

/// Returns the rate limit key of the prefix of an address. Prefixes of both address families have
/// different lengths in bytes, so their keys differ.
fn address_key(kind: CredentialKind, from: IpAddr, length: u8) -> RateLimitKey {
    let parts = [kind.as_str().as_bytes(), &prefix(from, length)];
    RateLimitKey::new(RateLimitKeyKind::Address, &parts)
}

/// Returns the bytes that identify an address as a device: those of the smallest budget.
pub(super) fn device_address(from: IpAddr) -> Vec<u8> {
    let from = effective(from);
    prefix(from, if from.is_ipv4() { 32 } else { 64 })
}

fn address(kind: CredentialKind, from: IpAddr) -> RateLimitKey {
    let from = effective(from);
    address_key(kind, from, if from.is_ipv4() { 32 } else { 64 })
}

/// Returns the rate limit key of a user name together with the network of an address: the /24 of
/// IPv4, or the /48 of IPv6.
fn network(name: RateLimitKey, from: IpAddr) -> RateLimitKey {
    let from = effective(from);
    let network = prefix(from, if from.is_ipv4() { 24 } else { 48 });
    RateLimitKey::new(RateLimitKeyKind::Network, &[name.as_bytes(), &network])
}

/// Returns the rate limit key that counts the refused, not the failed, attempts from an address.
pub(super) fn refusals(address: RateLimitKey) -> RateLimitKey {
    RateLimitKey::new(RateLimitKeyKind::RefusedAddress, &[address.as_bytes()])
}

/// Returns the rate limit key of the user name for which credentials are guessed. All texts that a
/// comparison takes for one name share one key.
pub(super) fn name(kind: CredentialKind, name: &str) -> RateLimitKey {
    let name = match kind {
        CredentialKind::Password => Cow::Owned(username_key(name)),
        CredentialKind::Operator => to_nfc(name),
        CredentialKind::ClientSecret => Cow::Borrowed(name),
    };
    RateLimitKey::new(RateLimitKeyKind::Name, &[kind.as_str().as_bytes(), name.as_bytes()])
}

/// Returns the rate limit key of one of the budgets that the known devices of a name share.
fn device_budget(name: RateLimitKey, number: u8) -> RateLimitKey {
    RateLimitKey::new(RateLimitKeyKind::KnownDevice, &[name.as_bytes(), &[number]])
}

/// Returns the keys of the budgets of a name: its own, and those of its known devices.
fn keys_of_name(name: RateLimitKey) -> impl Iterator<Item = RateLimitKey> {
    let devices = (0..DEVICE_BUDGETS).map(move |number| device_budget(name, number));
    std::iter::once(name).chain(devices)
}

/// Returns the keys of the budgets, for every kind of credential, of an address or a network and of
/// all networks around it; none if the network is larger than any that has a budget.
pub fn keys_of_network(of: IpNet) -> Vec<RateLimitKey> {
    let mut keys = Vec::new();
    for kind in CredentialKind::ALL {
        let of_address = effective(of.addr());
        // A network inside NAT64 or IPv4-mapped addresses is the IPv4 network.
        let translated = if of_address.is_ipv4() && matches!(of, IpNet::V6(_)) { 96 } else { 0 };
        let length = of.prefix_len().saturating_sub(translated);
        for budget in budgets(kind, of_address, 1) {
            if budget.network.prefix_len() > length {
                continue;
            }
            keys.push(budget.key);
            if budget.is_address {
                keys.push(refusals(budget.key));
            }
        }
    }
    keys
}

/// Returns the keys of the budgets of a user name and its known devices, also as the name of the
/// operator.
pub fn keys_of_user(username: &str) -> Vec<RateLimitKey> {
    let kinds = [CredentialKind::Password, CredentialKind::Operator];
    kinds.into_iter().flat_map(|kind| keys_of_name(name(kind, username))).collect()
}

/// Returns the keys of the budgets of a client id and its known devices.
pub fn keys_of_client(id: &str) -> Vec<RateLimitKey> {
    keys_of_name(name(CredentialKind::ClientSecret, id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_key(text: &str) -> RateLimitKey {
        address(CredentialKind::Password, text.parse().unwrap())
    }

    fn networks(text: &str) -> Vec<(String, u32)> {
        let budgets = budgets(CredentialKind::Password, text.parse().unwrap(), 20);
        budgets.iter().map(|budget| (budget.network.to_string(), budget.limit)).collect()
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
    fn nat64_address_counts_as_ipv4_address_inside() {
        assert_eq!(address_key("64:ff9b::192.0.2.1"), address_key("192.0.2.1"));
        assert_ne!(address_key("64:ff9b::192.0.2.1"), address_key("64:ff9b::192.0.2.2"));
        // Only 64:ff9b::/96 contains IPv4 addresses.
        assert_eq!(address_key("64:ff9b:0:0:1::1"), address_key("64:ff9b:0:0:1::2"));
        assert_eq!(networks("64:ff9b::192.0.2.1"), networks("192.0.2.1"));
    }

    #[test]
    fn budgets_of_networks_are_8_and_32_times_as_large() {
        let own = |budgets: &[(&str, u32)]| {
            budgets.iter().map(|(net, limit)| ((*net).to_owned(), *limit)).collect::<Vec<_>>()
        };
        assert_eq!(networks("192.0.2.1"), own(&[("192.0.2.1/32", 20), ("192.0.2.0/24", 160)]));
        let ipv6 =
            [("2001:db8:1:2ff::/64", 20), ("2001:db8:1:200::/56", 160), ("2001:db8:1::/48", 640)];
        assert_eq!(networks("2001:db8:1:2ff::1"), own(&ipv6));
    }

    #[test]
    fn keys_of_network_are_those_of_all_budgets_around_it() {
        let count = |text: &str| keys_of_network(text.parse().unwrap()).len();
        // For three kinds of credential: address with refusals, and networks.
        assert_eq!(
            (count("192.0.2.1/32"), count("192.0.2.0/24"), count("192.0.0.0/16")),
            (9, 3, 0)
        );
        assert_eq!((count("2001:db8::1/128"), count("2001:db8::/56")), (12, 6));
        let address = keys_of_network("192.0.2.1/32".parse().unwrap());
        assert!(address.contains(&address_key("192.0.2.1")));
        assert_eq!(address, keys_of_network("64:ff9b::192.0.2.1/128".parse().unwrap()));
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
    fn spellings_of_a_username_share_one_key() {
        let key = |name_of: &str| name(CredentialKind::Password, name_of);
        for spelling in ["ALICE", " alice ", "\u{ff21}lice"] {
            assert_eq!(key(spelling), key("alice"));
        }
        assert_ne!(key("al ice"), key("alice"));
        let operator = |name_of: &str| name(CredentialKind::Operator, name_of);
        assert_eq!(operator("zo\u{eb}"), operator("zoe\u{308}"));
        assert_ne!(operator("A"), operator("a"));
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
