//! Verify endpoint, `GET /oauth/verify`, for `auth_request` of nginx. nginx takes 2xx as
//! permission, 401 and 403 as refusals, and any other status as an error.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::error::log_unavailable;
use super::{Web, authorization};
use crate::domain::Scope;
use crate::oauth::{Error, Params, Verified, VerifyError};

/// ASCII characters that are percent-encoded in `X-Auth-Username`. Characters outside ASCII are
/// always encoded.
// Deviation: names in plain ASCII are promised as they are, but `%` is encoded too, or a user who
// is called `%61dmin` would be taken for `admin` by everyone who decodes. Test:
// `percent_sign_in_username_header_is_percent_encoded`.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const USERNAME: HeaderName = HeaderName::from_static("x-auth-username");
const CLIENT_ID: HeaderName = HeaderName::from_static("x-auth-client-id");
const SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");

pub(super) async fn handle(web: web::Data<Web>, request: HttpRequest) -> HttpResponse {
    // RFC 6750 §3.1: "If the request lacks any authentication information […], the resource server
    // SHOULD NOT include an error code or other error information."
    let Some(token) = authorization::bearer(&request) else {
        return challenge(StatusCode::UNAUTHORIZED, "Bearer realm=\"sentinel\"");
    };
    let scope = required_scope(request.query_string());
    let result = web.provider.verify(token, scope.as_ref().unwrap_or(&Scope::empty())).await;
    // No token has a malformed scope, so the response is `insufficient_scope`, unless the token
    // itself is invalid.
    let result = result.and_then(|verified| match scope {
        Some(_) => Ok(verified),
        None => Err(VerifyError::InsufficientScope),
    });
    match result {
        Ok(verified) => pass(&verified),
        Err(VerifyError::InvalidToken) => challenge(
            StatusCode::UNAUTHORIZED,
            "Bearer realm=\"sentinel\", error=\"invalid_token\", \
             error_description=\"the access token is invalid, expired or revoked\"",
        ),
        Err(VerifyError::InsufficientScope) => challenge(
            StatusCode::FORBIDDEN,
            "Bearer realm=\"sentinel\", error=\"insufficient_scope\", \
             error_description=\"the access token lacks the required scope\"",
        ),
        Err(VerifyError::Unavailable(error)) => unavailable(&error),
    }
}

fn pass(verified: &Verified) -> HttpResponse {
    let mut response = empty(StatusCode::NO_CONTENT);
    if let Some(user) = &verified.user {
        response.insert_header((USER_ID, user.id.to_string()));
        response.insert_header((USERNAME, encoded(&user.username).as_ref()));
    }
    response.insert_header((CLIENT_ID, verified.client_id.as_str()));
    response.insert_header((SCOPE, verified.scope.as_str()));
    response.finish()
}

/// Percent-encodes a user name for `X-Auth-Username`. Leading and trailing spaces, which imported
/// names may have, are encoded too, since they are not part of a field value (RFC 9110 §5.5).
fn encoded(name: &str) -> Cow<'_, str> {
    let trimmed = name.trim_matches(' ');
    if trimmed.len() == name.len() {
        return utf8_percent_encode(name, ENCODED).into();
    }
    let (before, after) = name.split_once(trimmed).unwrap_or((name, ""));
    let space = |text: &str| "%20".repeat(text.len());
    let name = utf8_percent_encode(trimmed, ENCODED);
    Cow::Owned(format!("{}{name}{}", space(before), space(after)))
}

fn challenge(status: StatusCode, challenge: &'static str) -> HttpResponse {
    empty(status).insert_header((WWW_AUTHENTICATE, challenge)).finish()
}

fn unavailable(error: &Error) -> HttpResponse {
    if let Error::Unavailable(cause) = error {
        log_unavailable(cause);
    }
    let retry_after = error.retry_after().as_secs();
    empty(StatusCode::SERVICE_UNAVAILABLE).insert_header((RETRY_AFTER, retry_after)).finish()
}

/// Starts a response of the verify endpoint, without a body, that must not be stored. nginx caches
/// the response only if its configuration says so.
fn empty(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response
}

/// Returns the required scope, the `scope` parameter of the query string: the empty scope if the
/// parameter is missing, `None` if the parameter or the query string is malformed.
fn required_scope(query: &str) -> Option<Scope> {
    if query.is_empty() {
        return Some(Scope::empty());
    }
    let params = Params::parse(query.as_bytes()).ok()?;
    params.get("scope").map_or(Some(Scope::empty()), |text| text.parse().ok())
}
