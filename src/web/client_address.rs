//! Address of the client that sent a request.
//!
//! `X-Forwarded-For` counts only if a trusted proxy sent it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use ipnet::IpNet;

use super::Transport;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the IP address of the client that sent the request. Behind a trusted proxy, this is the
/// right-most address in `X-Forwarded-For` that is not a trusted proxy, since the client may have
/// written anything to the left of it. Otherwise it is the peer's address. Returns `None` for a
/// Unix socket if the header names no address.
pub(super) fn of(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let (peer, local) = peer(request);
    if !trusts_headers_of(peer, local, trusted) {
        return peer;
    }
    let headers = request.headers().get_all(FORWARDED_FOR);
    let values: Vec<&[u8]> = headers.map(|value| value.as_bytes()).collect();
    resolve(peer, local, &values, trusted)
}

/// Logs one warning, for all requests of the process, if the request has `X-Forwarded-For` from a
/// peer that is not a trusted proxy. If a proxy is missing in the settings, all its clients share
/// the budget of one address.
pub(super) fn warn_if_ignored(request: &HttpRequest, trusted: &[IpNet], has_warned: &AtomicBool) {
    if has_warned.load(Ordering::Relaxed) || !request.headers().contains_key(FORWARDED_FOR) {
        return;
    }
    let (peer, local) = peer(request);
    if trusts_headers_of(peer, local, trusted) || has_warned.swap(true, Ordering::Relaxed) {
        return;
    }
    tracing::warn!(
        peer = peer.map(|peer| peer.to_string()),
        "a peer that is not in server.trusted_proxies sent X-Forwarded-For, which is ignored: if \
         it is your proxy, add it to server.trusted_proxies, or all its clients count as one \
         address for rate limits and in the audit log; this is logged once",
    );
}

/// Returns whether the connection's peer is a trusted proxy: in `trusted`, or on a Unix socket.
pub(super) fn is_trusted_peer(request: &HttpRequest, trusted: &[IpNet]) -> bool {
    let (peer, local) = peer(request);
    trusts_headers_of(peer, local, trusted)
}

/// Returns the IP address of the connection's peer, and whether the peer uses a Unix socket.
fn peer(request: &HttpRequest) -> (Option<IpAddr>, bool) {
    let peer = request.peer_addr().map(|address| address.ip().to_canonical());
    // The file mode of a Unix socket decides who may connect, so the peer is a proxy on this
    // machine.
    (peer, peer.is_none() && Transport::of(request) == Transport::Unix)
}

/// Returns the IP address of a client, given the peer's address, whether the peer is connected over
/// a Unix socket (`local`), the values of all `X-Forwarded-For` headers in their order, and the
/// networks of the trusted proxies.
pub fn resolve(
    peer: Option<IpAddr>,
    local: bool,
    forwarded: &[&[u8]],
    trusted: &[IpNet],
) -> Option<IpAddr> {
    if !trusts_headers_of(peer, local, trusted) {
        return peer;
    }
    let mut nearest = peer;
    for hop in forwarded.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
        // A value that is not an address ends the part of the list that trusted proxies wrote.
        let hop = std::str::from_utf8(hop).unwrap_or_default();
        let Some(address) = parse(hop.trim()) else { break };
        nearest = Some(address);
        if !is_in(address, trusted) {
            break;
        }
    }
    nearest
}

/// Returns whether the server trusts `X-Forwarded-For` from this peer (`local`: on a Unix socket).
fn trusts_headers_of(peer: Option<IpAddr>, local: bool, trusted: &[IpNet]) -> bool {
    peer.map_or(local, |peer| is_in(peer, trusted))
}

/// Returns whether an IP address is in at least one of the networks.
pub(super) fn is_in(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|net| net.contains(&address))
}

/// Parses an IP address with or without a port, as proxies write it in `X-Forwarded-For`.
fn parse(text: &str) -> Option<IpAddr> {
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|with_port| with_port.ip()))
        .ok()
        .or_else(|| in_brackets().map(IpAddr::V6));
    // Converts an IPv4-mapped address: `::ffff:192.0.2.1` becomes 192.0.2.1.
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let forwarded: Vec<_> = forwarded.iter().map(|value| value.as_bytes()).collect();
        let address = resolve(Some(peer.parse().unwrap()), false, &forwarded, &trusted);
        address.unwrap().to_string()
    }

    #[test]
    fn forwarded_address_from_untrusted_peer_is_ignored() {
        assert_eq!(resolved("192.0.2.1", &["10.0.0.1"], &["127.0.0.0/8"]), "192.0.2.1");
    }

    #[test]
    fn rightmost_untrusted_hop_is_client_address() {
        let trusted = ["127.0.0.0/8", "10.0.0.0/8"];
        let hops = ["6.6.6.6, 192.0.2.1", "10.0.0.7"];
        assert_eq!(resolved("127.0.0.1", &hops, &trusted), "192.0.2.1");
        assert_eq!(resolved("127.0.0.1", &["192.0.2.1, nonsense"], &trusted), "127.0.0.1");
        assert_eq!(resolved("127.0.0.1", &[], &trusted), "127.0.0.1");
        assert_eq!(resolved("127.0.0.1", &["[2001:db8::1]:443"], &trusted), "2001:db8::1");
        assert_eq!(resolved("127.0.0.1", &["[2001:db8::1]"], &trusted), "2001:db8::1");
        assert_eq!(resolved("127.0.0.1", &["::ffff:192.0.2.9"], &trusted), "192.0.2.9");
        for malformed in ["[192.0.2.1", "192.0.2.1]", "[192.0.2.1]", "[[2001:db8::1]]"] {
            assert_eq!(resolved("127.0.0.1", &[malformed], &trusted), "127.0.0.1", "{malformed}");
        }
    }

    #[test]
    fn invalid_utf8_in_header_does_not_hide_rightmost_hop() {
        let (peer, trusted) = ("127.0.0.1".parse().unwrap(), ["127.0.0.0/8".parse().unwrap()]);
        let values: [&[u8]; 2] = [b"6.6.6.6", b"\xff, 203.0.113.9"];
        let address = resolve(Some(peer), false, &values, &trusted);
        assert_eq!(address, Some("203.0.113.9".parse().unwrap()));
        let values: [&[u8]; 2] = [b"6.6.6.6", b"203.0.113.9, \xff"];
        assert_eq!(resolve(Some(peer), false, &values, &trusted), Some(peer));
    }

    #[test]
    fn unix_socket_peer_is_trusted_proxy() {
        let address = resolve(None, true, &[b"192.0.2.1"], &[]);
        assert_eq!(address, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(resolve(None, true, &[], &[]), None);
    }
}
