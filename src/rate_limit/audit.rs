//! Audit events of exceeded rate limits.

use std::net::IpAddr;

use ipnet::IpNet;

use super::CredentialKind;
use crate::observe::audit::{TARGET, format_address};
use crate::observe::log::ANY_CALLER;

/// Writes one audit event when the failed attempts from an address reach the limit. Attempts that
/// are refused afterwards cause no event.
pub(super) fn address_limited(kind: CredentialKind, address: IpAddr) {
    tracing::warn!(
        name: ANY_CALLER, target: TARGET, event = "throttle", what = "address",
        guessed = kind.as_str(), address = %address,
        "an address has reached throttle.failures_per_address: its guesses are answered 429 \
         until fewer failures count",
    );
}

/// Writes one audit event when the failed attempts from a network reach the limit.
pub(super) fn network_limited(kind: CredentialKind, network: IpNet) {
    tracing::warn!(
        name: ANY_CALLER, target: TARGET, event = "throttle", what = "network",
        guessed = kind.as_str(), network = %network,
        "a network has reached its multiple of throttle.failures_per_address: guesses from there \
         are answered 429 until fewer failures count",
    );
}

/// Writes one audit event when the failed attempts on a user name reach the limit.
pub(super) fn name_under_attack(
    kind: CredentialKind,
    username: Option<&str>,
    address: Option<IpAddr>,
) {
    tracing::warn!(
        name: ANY_CALLER, target: TARGET, event = "throttle", what = "name",
        guessed = kind.as_str(), username, address = format_address(address),
        "a name has reached throttle.failures_per_user: attempts on it are delayed until fewer \
         failures count",
    );
}
