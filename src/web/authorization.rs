//! Basic and Bearer credentials in the `Authorization` header (RFC 7617, RFC 6750 §2.1).

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web_httpauth::headers::authorization::{Basic, Scheme};
use secrecy::SecretString;

use super::error::RequestError;
use crate::oauth::{Authorization, AuthorizationHeader, BasicCredentials, Error};

/// Returns the request's Basic `Authorization` header, for endpoints that authenticate clients.
///
/// # Errors
/// Returns `invalid_request` if the request has more than one Basic header.
pub(super) fn authorization(request: &HttpRequest) -> Result<Authorization<'_>, RequestError> {
    let mut headers = basic_headers(request);
    let Some(header) = headers.next() else { return Ok(Authorization::missing()) };
    if headers.next().is_some() {
        return Err(Error::InvalidRequest("the Authorization header is repeated").into());
    }
    Ok(Authorization::of(header.as_bytes(), parse))
}

/// Returns the user name and password of a Basic `Authorization` header; `None` unless the request
/// has exactly one such header and it can be parsed.
pub(super) fn basic(request: &HttpRequest) -> Option<BasicCredentials> {
    let mut headers = basic_headers(request);
    let (Some(header), None) = (headers.next(), headers.next()) else { return None };
    credentials(header)
}

/// Returns the `Authorization` headers of the scheme Basic. Empty ones and those of other schemes
/// authenticate neither clients nor the operator.
fn basic_headers(request: &HttpRequest) -> impl Iterator<Item = &HeaderValue> {
    request.headers().get_all(AUTHORIZATION).filter(|header| {
        let scheme = header.as_bytes().split(|octet| *octet == b' ').next();
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Basic"))
    })
}

fn parse(header: &[u8]) -> AuthorizationHeader {
    let credentials = HeaderValue::from_bytes(header).ok().and_then(|header| credentials(&header));
    credentials.map_or(AuthorizationHeader::Unreadable, AuthorizationHeader::Basic)
}

fn credentials(header: &HeaderValue) -> Option<BasicCredentials> {
    let basic = Basic::parse(canonical(header, "Basic")?.as_ref()).ok()?;
    Some(BasicCredentials {
        user: basic.user_id().to_owned(),
        password: SecretString::from(basic.password().unwrap_or_default()),
    })
}

/// Returns the token of a Bearer `Authorization` header (RFC 6750 §2.1). Returns `None` without an
/// `Authorization` header or with another scheme. Returns the empty string, which is never a token,
/// if the header is repeated or is not visible ASCII.
pub(super) fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let header = headers.next()?;
    let (Ok(header), None) = (header.to_str(), headers.next()) else { return Some("") };
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_matches(' '))
}

/// Returns an `Authorization` header with its scheme spelled as the parser expects; `None` if the
/// header has another scheme. Schemes are case-insensitive (RFC 9110 §11.1) and may be followed by
/// more than one space.
fn canonical<'a>(header: &'a HeaderValue, scheme: &str) -> Option<Cow<'a, HeaderValue>> {
    // Fast path: most headers already have this form and need no second validation.
    let rest = header.as_bytes().strip_prefix(scheme.as_bytes());
    if let Some([b' ', credentials @ ..]) = rest
        && credentials.first() != Some(&b' ')
        && credentials.last() != Some(&b' ')
    {
        return Some(Cow::Borrowed(header));
    }
    let (given, credentials) = header.to_str().ok()?.split_once(' ')?;
    if !given.eq_ignore_ascii_case(scheme) {
        return None;
    }
    let canonical = format!("{scheme} {}", credentials.trim_matches(' '));
    HeaderValue::from_str(&canonical).ok().map(Cow::Owned)
}
