//! Rejects requests that another site made a browser send (cross-site request forgery), unless
//! their method is safe.
//!
//! Browsers send HTTP Basic credentials with every request to a site, whichever page causes the
//! request. They state the relation of that page to the server in `Sec-Fetch-Site` (W3C Fetch
//! Metadata), over TLS or on the local machine, and the page's origin in `Origin` (RFC 6454 §7),
//! for every method but GET and HEAD. Programs other than browsers send neither header, and use
//! only their own credentials.

use actix_web::HttpRequest;
use actix_web::http::header::ORIGIN;
use ipnet::IpNet;

use super::operator_check_error::OperatorCheckError;
use crate::web::Transport;
use crate::web::request_host::hosts;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Returns an error if another site made a browser send the request, unless the request's method is
/// safe (RFC 9110 §9.2.1). `issuer` is the server's public URL.
pub(super) fn check(
    request: &HttpRequest,
    issuer: Option<&str>,
    trusted: &[IpNet],
) -> Result<(), OperatorCheckError> {
    // Safe methods change nothing (RFC 9110 §9.2.1).
    if request.method().is_safe() {
        return Ok(());
    }
    let headers = request.headers();
    // `none` means that the user started the request. `same-site` names another origin and is
    // rejected.
    let is_same_origin = |site: &[u8]| site == b"same-origin" || site == b"none";
    if !headers.get_all(SEC_FETCH_SITE).all(|site| is_same_origin(site.as_bytes())) {
        return Err(OperatorCheckError::CrossSite);
    }
    let is_ours = |origin: &[u8]| {
        std::str::from_utf8(origin).is_ok_and(|origin| {
            issuer.and_then(origin_of).is_some_and(|own| is_same(own, origin))
                || hosts(request, trusted).any(|host| is_at(origin, host, is_tls(request)))
        })
    };
    if headers.get_all(ORIGIN).all(|origin| is_ours(origin.as_bytes())) {
        return Ok(());
    }
    Err(OperatorCheckError::CrossSite)
}

fn is_tls(request: &HttpRequest) -> bool {
    Transport::of(request) == Transport::Tls
}

/// Returns the origin of a URL (RFC 6454 §4): the part before its path. `None` without a scheme.
fn origin_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    url.get(..scheme.len() + "://".len() + authority.len())
}

fn is_same(one: &str, other: &str) -> bool {
    without_default_port(one).eq_ignore_ascii_case(without_default_port(other))
}

/// Returns whether a web origin is that of `host`, a name with or without a port. Without `tls`, an
/// `https` origin is accepted too, since a proxy may use TLS with the browser.
fn is_at(origin: &str, host: &str, tls: bool) -> bool {
    let at = |scheme: &str| is_same(origin, &format!("{scheme}://{host}"));
    at("https") || (!tls && at("http"))
}

/// Returns an origin without a default port. Browsers leave out 443 and 80; proxies may write them.
fn without_default_port(origin: &str) -> &str {
    let default = if origin.starts_with("https:") { ":443" } else { ":80" };
    origin.strip_suffix(default).unwrap_or(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_of_url_is_scheme_host_and_port() {
        assert_eq!(origin_of("https://a.example/b/c"), Some("https://a.example"));
        assert_eq!(origin_of("https://a.example:8443"), Some("https://a.example:8443"));
        assert_eq!(origin_of("null"), None);
    }

    #[test]
    fn default_port_and_letter_case_are_ignored() {
        assert!(is_at("https://a.example", "A.example:443", true));
        assert!(is_at("http://a.example:80", "a.example", false));
        assert!(is_at("http://[::1]:5000", "[::1]:5000", false));
        assert!(!is_at("http://a.example:443", "a.example", false));
    }

    #[test]
    fn plain_http_origin_does_not_match_https_server() {
        assert!(!is_at("http://a.example", "a.example", true));
        assert!(is_at("https://a.example", "a.example", false));
    }

    #[test]
    fn origin_with_shared_prefix_or_suffix_does_not_match() {
        for other in ["https://a.example.evil.example", "https://evil-a.example", "null", ""] {
            assert!(!is_at(other, "a.example", true), "{other}");
            assert!(!is_same("https://a.example", other), "{other}");
        }
    }
}
