//! Where a request really came from.
//!
//! A proxy that is not trusted is not believed.

use std::net::IpAddr;

use actix_web::HttpRequest;
use ipnet::IpNet;

/// Marks a connection that came in over a Unix socket.
#[derive(Clone, Copy, Debug)]
pub struct UnixPeer;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of the client: the peer's, or, when the peer is a trusted proxy, the right-most
/// address in `X-Forwarded-For` that is not one. What stands to the left of that was written by the
/// client and could be anything. `None` for a Unix socket without a proxy's word.
pub(super) fn of(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let (peer, local) = peer(request);
    if !believed(peer, local, trusted) {
        return peer;
    }
    let headers = request.headers().get_all(FORWARDED_FOR);
    let values: Vec<&[u8]> = headers.map(|value| value.as_bytes()).collect();
    resolve(peer, local, &values, trusted)
}

/// Whether the peer is a proxy that is believed.
pub(super) fn is_trusted_peer(request: &HttpRequest, trusted: &[IpNet]) -> bool {
    let (peer, local) = peer(request);
    believed(peer, local, trusted)
}

/// The peer's address, or whether it came over a Unix socket.
fn peer(request: &HttpRequest) -> (Option<IpAddr>, bool) {
    let peer = request.peer_addr().map(|address| address.ip().to_canonical());
    // Who can reach a Unix socket was let in by its file mode: it is a proxy on this machine.
    (peer, peer.is_none() && request.conn_data::<UnixPeer>().is_some())
}

fn resolve(
    peer: Option<IpAddr>,
    local: bool,
    forwarded: &[&[u8]],
    trusted: &[IpNet],
) -> Option<IpAddr> {
    if !believed(peer, local, trusted) {
        return peer;
    }
    let mut nearest = peer;
    for hop in forwarded.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
        // Something that is no address, or not even text, ends what the proxies vouch for.
        let hop = std::str::from_utf8(hop).unwrap_or_default();
        let Some(address) = parse(hop.trim()) else { break };
        nearest = Some(address);
        if !is_in(address, trusted) {
            break;
        }
    }
    nearest
}

/// Whether what the peer says of others counts.
fn believed(peer: Option<IpAddr>, local: bool, trusted: &[IpNet]) -> bool {
    peer.map_or(local, |peer| is_in(peer, trusted))
}

/// Whether an address is in one of these networks.
pub(super) fn is_in(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|net| net.contains(&address))
}

/// An address, perhaps with a port, as proxies write it.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<std::net::SocketAddr>().map(|with_port| with_port.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse());
    // `::ffff:192.0.2.1` is 192.0.2.1.
    address.ok().map(|address| address.to_canonical())
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
    fn a_stranger_is_not_believed() {
        assert_eq!(resolved("192.0.2.1", &["10.0.0.1"], &["127.0.0.0/8"]), "192.0.2.1");
    }

    #[test]
    fn the_right_most_untrusted_hop_counts() {
        let trusted = ["127.0.0.0/8", "10.0.0.0/8"];
        let hops = ["6.6.6.6, 192.0.2.1", "10.0.0.7"];
        assert_eq!(resolved("127.0.0.1", &hops, &trusted), "192.0.2.1");
        assert_eq!(resolved("127.0.0.1", &["192.0.2.1, nonsense"], &trusted), "127.0.0.1");
        assert_eq!(resolved("127.0.0.1", &[], &trusted), "127.0.0.1");
        assert_eq!(resolved("127.0.0.1", &["[2001:db8::1]:443"], &trusted), "2001:db8::1");
        assert_eq!(resolved("127.0.0.1", &["::ffff:192.0.2.9"], &trusted), "192.0.2.9");
    }

    #[test]
    fn bytes_that_are_no_text_hide_nothing() {
        let (peer, trusted) = ("127.0.0.1".parse().unwrap(), ["127.0.0.0/8".parse().unwrap()]);
        let values: [&[u8]; 2] = [b"6.6.6.6", b"\xff, 203.0.113.9"];
        let address = resolve(Some(peer), false, &values, &trusted);
        assert_eq!(address, Some("203.0.113.9".parse().unwrap()));
        let values: [&[u8]; 2] = [b"6.6.6.6", b"203.0.113.9, \xff"];
        assert_eq!(resolve(Some(peer), false, &values, &trusted), Some(peer));
    }

    #[test]
    fn a_unix_socket_is_a_proxy_on_this_machine() {
        let address = resolve(None, true, &[b"192.0.2.1"], &[]);
        assert_eq!(address, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(resolve(None, true, &[], &[]), None);
    }
}
