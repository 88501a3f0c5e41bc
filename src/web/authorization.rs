//! The `Authorization` header.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web_httpauth::headers::authorization::{Basic, Scheme};
use secrecy::SecretString;

use super::error::Refusal;
use crate::oauth::{Authorization, BasicCredentials, Error, Presented};

/// The header, for the endpoints that authenticate clients.
///
/// # Errors
/// `invalid_request` for a repeated header.
pub(super) fn authorization(request: &HttpRequest) -> Result<Authorization<'_>, Refusal> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else { return Ok(Authorization::nothing()) };
    if headers.next().is_some() {
        return Err(Error::InvalidRequest("the Authorization header is repeated").into());
    }
    Ok(Authorization::of(header.as_bytes(), read))
}

/// The Basic credentials of the only such header.
pub(super) fn basic(request: &HttpRequest) -> Option<BasicCredentials> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let (Some(header), None) = (headers.next(), headers.next()) else { return None };
    credentials(header)
}

fn read(header: &[u8]) -> Presented {
    let credentials = HeaderValue::from_bytes(header).ok().and_then(|header| credentials(&header));
    credentials.map_or(Presented::Unreadable, Presented::Basic)
}

fn credentials(header: &HeaderValue) -> Option<BasicCredentials> {
    let basic = Basic::parse(canonical(header, "Basic")?.as_ref()).ok()?;
    Some(BasicCredentials {
        user: basic.user_id().to_owned(),
        password: SecretString::from(basic.password().unwrap_or_default()),
    })
}

/// The token of a Bearer header (RFC 6750 §2.1); `None` when there is none, and the empty text, which
/// is no token, when what is there cannot be read, or comes beside another header, of any scheme.
pub(super) fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let header = headers.next()?;
    let (Ok(header), None) = (header.to_str(), headers.next()) else { return Some("") };
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_matches(' '))
}

/// The header with its scheme written as the parser wants it: schemes are case-insensitive (RFC 9110
/// §11.1), and may be followed by more than one space.
fn canonical<'a>(header: &'a HeaderValue, scheme: &str) -> Option<Cow<'a, HeaderValue>> {
    // Nearly every header is written so, and its characters need not be looked at twice.
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
