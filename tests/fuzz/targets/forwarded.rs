//! Headers that proxies add to a request: `X-Forwarded-For`, `X-Request-Id`, `traceparent`. The
//! first two have no effect if the peer is not a trusted proxy, and an address that an untrusted
//! hop names is never used as that of the client.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use ipnet::IpNet;
use sentinel::web::client_address;

use super::world::{Call, TRUSTED, TestResponse, World, with_world};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Takes the address of the peer from the first line of the input, which is no address for a Unix
/// socket. The other lines are headers, identified by their first letter.
pub fn run(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let peer = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let peer: Option<IpAddr> = peer.parse().ok();
    let Some(headers) = lines.map(header).collect::<Option<Vec<_>>>() else { return };
    let values = |name: &HeaderName| -> Vec<&[u8]> {
        let named = headers.iter().filter(|(own, _)| own == name);
        named.map(|(_, value)| value.as_bytes()).collect()
    };
    let hops = values(&FORWARDED_FOR);
    let expected = expected(peer, &hops);
    check(peer, &hops, expected);
    // The call has no information that a peer without an address uses a Unix socket.
    let Some(peer) = peer else { return };
    with_world(|world| {
        let call = Call {
            method: Method::POST,
            target: Uri::from_static("/oauth/introspect"),
            peer: Some(peer),
            headers: headers.clone(),
            body: Vec::new(),
        };
        let _ = world.spans.take_all();
        let answer = world
            .send(&Call { headers: headers.iter().cloned().chain([form()]).collect(), ..call });
        let captured = world.captured.addresses();
        assert_eq!(captured, [expected.unwrap().to_string()], "{peer} {headers:?}");
        check_id(peer, &values(&REQUEST_ID), &answer);
        check_trace(expected.unwrap(), &values(&TRACEPARENT), world);
    });
}

fn form() -> (HeaderName, HeaderValue) {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    (actix_web::http::header::CONTENT_TYPE, form)
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let (letter, value) = line.split_first()?;
    let name = match letter {
        b'f' => FORWARDED_FOR,
        b'r' => REQUEST_ID,
        _ => TRACEPARENT,
    };
    Some((name, HeaderValue::from_bytes(value).ok()?))
}

/// Returns the expected address of the client: from the nearest hop on, a trusted hop names the
/// next one.
fn expected(peer: Option<IpAddr>, headers: &[&[u8]]) -> Option<IpAddr> {
    let all = headers.join(&b","[..]);
    let hops: Vec<Option<IpAddr>> = match headers {
        [] => Vec::new(),
        _ => all.split(|byte| *byte == b',').map(address).collect(),
    };
    let mut client = peer.map(|peer| peer.to_canonical());
    for hop in hops.into_iter().rev() {
        if client.is_some_and(|client| !is_trusted(client)) || hop.is_none() {
            break;
        }
        client = hop;
    }
    client
}

/// Checks that an untrusted peer is the client, and that hops before an untrusted hop have no
/// effect.
fn check(peer: Option<IpAddr>, headers: &[&[u8]], expected: Option<IpAddr>) {
    let trusted: Vec<IpNet> = TRUSTED.iter().map(|net| net.parse().unwrap()).collect();
    let canonical = peer.map(|peer| peer.to_canonical());
    let found = client_address::resolve(canonical, peer.is_none(), headers, &trusted);
    assert_eq!(found, expected, "{peer:?} {headers:?}");
    if canonical.is_some_and(|peer| !is_trusted(peer)) {
        assert_eq!(found, canonical);
    }
    assert_eq!(client_address::resolve(None, false, headers, &trusted), None);
}

/// Compares octets, independently of `IpNet`.
fn is_trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [127 | 10, ..]),
        IpAddr::V6(v6) => v6.segments()[..3] == [0x2001, 0xdb8, 1],
    }
}

/// Parses an address as proxies write it: with or without a port, and with or without brackets
/// (IPv6).
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let with_port = || hop.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let in_brackets = || bare.and_then(|bare| bare.parse().ok()).filter(IpAddr::is_ipv6);
    let address = hop.parse().ok().or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

fn check_id(peer: IpAddr, given: &[&[u8]], answer: &TestResponse) {
    let id = answer.headers.get(REQUEST_ID).unwrap().to_str().unwrap();
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte);
    let is_taken = given.first().is_some_and(|given| {
        is_trusted(peer.to_canonical()) && (1..=64).contains(&given.len()) && given.iter().all(sane)
    });
    if is_taken {
        assert_eq!(id.as_bytes(), given[0]);
    } else {
        let made = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(made && !given.contains(&id.as_bytes()), "{id} of {given:?}");
    }
}

/// Compares the spans with the `traceparent` header (W3C Trace Context §3.2.2). Only clients with
/// an IPv4 address decide whether their requests are sampled.
fn check_trace(client: IpAddr, given: &[&[u8]], world: &World) {
    let spans = world.spans.take_all();
    let parent = match given {
        [only] if client.is_ipv4() && only.is_ascii() => {
            std::str::from_utf8(only).ok().and_then(traced)
        }
        _ => None,
    };
    let found = spans.iter().filter_map(|span| span.parent.as_ref());
    let found: Vec<_> =
        found.map(|p| (p.trace_id().to_string(), p.span_id().to_string())).collect();
    assert_eq!(found, Vec::from_iter(parent), "{given:?}");
    assert_eq!(spans.len(), found.len());
}

/// Returns the trace and span ids if the caller samples the trace.
fn traced(header: &str) -> Option<(String, String)> {
    let fields: Vec<&str> = header.splitn(5, '-').collect();
    let [version, trace, span, flags, more @ ..] = &*fields else { return None };
    let is_hex = |text: &str, width| {
        text.len() == width && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    };
    let is_whole = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    let is_known = *version != "ff" && (*version != "00" || more.is_empty());
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let is_named = [trace, span].iter().all(|id| id.bytes().any(|digit| digit != b'0'));
    let is_traced = is_whole && is_known && is_named && flags & 1 == 1;
    is_traced.then(|| ((*trace).to_owned(), (*span).to_owned()))
}
