//! Hosts to which a request was sent: that of its URL, and the one that a trusted proxy passes on.

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderMap};
use ipnet::IpNet;

use super::client_address;

const X_FORWARDED_HOST: &str = "x-forwarded-host";

/// Returns the hosts to which the request was sent: the host of the request itself and, behind a
/// trusted proxy, the host in `X-Forwarded-Host`.
pub(super) fn hosts<'a>(
    request: &'a HttpRequest,
    trusted: &[IpNet],
) -> impl Iterator<Item = &'a str> {
    // In HTTP/2 the host is part of the URI.
    let named = request.uri().authority().map(|authority| authority.as_str());
    let host = named.or_else(|| single_header(request.headers(), HOST.as_str()));
    let forwarded = client_address::is_trusted_peer(request, trusted)
        .then(|| single_header(request.headers(), X_FORWARDED_HOST))
        .flatten();
    host.into_iter().chain(forwarded)
}

/// Returns the value of a request header that occurs exactly once; otherwise `None`.
fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}
