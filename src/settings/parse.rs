//! Parsers of setting values: durations, sizes, paths, URLs and networks. They return `None` for
//! invalid text. The command line parses durations with them too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytesize::ByteSize;
use ipnet::{IpNet, Ipv4Net};

pub(crate) use crate::domain::{
    LIFETIME, parse_duration as duration, parse_lifetime as lifetime, show_duration,
};

/// Parses a size, such as `16384` or `16KiB`, into a number of bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64())
}

/// Formats a size in bytes in the shortest exact form that [`size`] parses.
pub(super) fn show_size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS
        .iter()
        .find(|(length, _)| bytes > 0 && bytes.is_multiple_of(*length))
        .map_or_else(|| format!("{bytes}B"), |(length, unit)| format!("{}{unit}", bytes / length))
}

/// Returns whether a URL without its scheme, in which there is no `@`, has a port that is not a
/// number: it may be a password before a forgotten `@` and host.
pub(crate) fn has_password_as_port(rest: &str) -> bool {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let hosts = authority.split(',').filter_map(|host| host.rsplit_once(':'));
    hosts.into_iter().any(|(_, port)| !port.ends_with(']') && !is_number(port))
}

/// Description of the text that [`network`] parses, for error messages.
pub(super) const NETWORK: &str = "an address or a CIDR block such as \"10.0.0.0/8\"";

/// Parses a network such as `10.0.0.0/8`, or an address, which is a network of one address.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    // A dual-stack listener shows IPv4 peers as ::ffff:a.b.c.d. An operator who copies such an
    // address from a log means the IPv4 one.
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => Some(
            v6.addr()
                .to_ipv4_mapped()
                .and_then(|address| Ipv4Net::new(address, v6.prefix_len() - 96).ok())
                .map_or(net, IpNet::V4),
        ),
        other => Some(other),
    }
}

/// Parses an absolute URL path, which starts with `/` and contains no character with a special
/// meaning for a router or a browser, and no percent-encoding, which the router would not match.
pub(super) fn url_path(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%{}\\\"<>".contains(&byte);
    (text.starts_with('/') && !text.contains("//") && text.bytes().all(plain))
        .then(|| text.to_owned())
}

/// Parses an absolute http or https URL without credentials, query and fragment. Removes a trailing
/// slash.
pub(super) fn http_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    is_authority(authority).then_some(())?;
    (path.is_empty() || url_path(path).is_some()).then(|| text.trim_end_matches('/').to_owned())
}

/// Parses `*` or a web origin, which is converted to lower case, as browsers send it in `Origin`
/// (RFC 6454 §6.2).
pub(super) fn web_origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let named = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (named
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && is_authority(authority))
    .then_some(text)
}

/// Parses the name of a request header: a token (RFC 9110 §5.1), which is converted to lower case.
/// Rejects `*`, which browsers do not apply to `Authorization` (Fetch §4.8) and which would permit
/// any header.
pub(super) fn header_name(text: &str) -> Option<String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (text != "*" && !text.is_empty() && text.bytes().all(token)).then(|| text.to_ascii_lowercase())
}

/// Returns whether a URL has one of `schemes`. The database driver validates the rest of the URL.
pub(super) fn has_scheme(text: &str, schemes: &[&str]) -> bool {
    text.split_once("://")
        .is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty())
}

/// Splits `host:port` into host and port, both of which are required.
pub(super) fn host_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (digits && is_host(host)).then(|| port.parse().ok().map(|port| (host, port)))?
}

/// Returns whether only this machine can reach a listener on `host`. Of host names, only
/// `localhost` counts as local, since any other may resolve to another address later.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn is_authority(text: &str) -> bool {
    is_host(text) || host_port(text).is_some()
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let named = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    !host.is_empty() && if numeric { host.parse::<Ipv4Addr>().is_ok() } else { named }
}
