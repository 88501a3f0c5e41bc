//! Verify endpoint, `/oauth/verify` with any method, for proxies that ask before they forward a
//! request: `auth_request` of nginx, `forward_auth` of Caddy, `ext_authz` of Envoy and others. They
//! take 200 as permission, 401 and 403 as refusals, and any other status as a refusal or an error.

use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::error::log_unavailable;
use super::{Web, authorization};
use crate::domain::Timestamp;
use crate::oauth::{Error, Requirements, Verified, VerifyError};

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
/// Path and query of the request that the proxy received, as Caddy and Traefik send it.
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// Challenges of refusals (RFC 6750 §3).
const NO_TOKEN: &str = "Bearer realm=\"sentinel\"";
const INVALID_TOKEN: &str = "Bearer realm=\"sentinel\", error=\"invalid_token\", \
    error_description=\"the access token is invalid, expired or revoked\"";
const INSUFFICIENT_SCOPE: &str = "Bearer realm=\"sentinel\", error=\"insufficient_scope\", \
    error_description=\"the access token lacks the required scope\"";
const NO_USER: &str = "Bearer realm=\"sentinel\", error=\"insufficient_scope\", \
    error_description=\"the access token has no user\"";

/// Minimum time between two warnings about the query.
const WARNING_INTERVAL: Duration = Duration::from_secs(600);

/// Limits the warnings about the query of this endpoint: callers of a proxy that is configured
/// incorrectly can cause any number of them.
#[derive(Debug, Default)]
pub(super) struct QueryWarnings {
    /// Time of the next warning, in milliseconds since the Unix epoch.
    next: AtomicI64,
    /// Number of refused requests since the last warning.
    refused: AtomicU64,
}

impl QueryWarnings {
    /// Counts a request with an unacceptable query. Returns the number of such requests since the
    /// last warning if a warning is due.
    fn count(&self, now: Timestamp) -> Option<u64> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let due = self.next.load(Ordering::Relaxed);
        if now.as_millis() < due {
            return None;
        }
        let next = now.plus(WARNING_INTERVAL).as_millis();
        let wins = self.next.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        wins.is_ok().then(|| self.refused.swap(0, Ordering::Relaxed))
    }
}

/// Handles requests to the endpoint itself, whose query is from the configuration of the proxy.
pub(super) async fn handle(web: web::Data<Web>, request: HttpRequest) -> HttpResponse {
    match requirements(&request) {
        Ok(required) => respond(&web, &request, &required).await,
        Err(error) => {
            if let Some(requests) = web.verify_warnings.count(web.provider.now()) {
                tracing::warn!(requests, "verify answered 400 and let no request pass: {error}");
            }
            web.refuse(&error.into())
        }
    }
}

/// Handles requests below the endpoint. Path and query are those of the proxy's caller, which Envoy
/// appends to the path of the endpoint, so they are not read.
pub(super) async fn handle_below(web: web::Data<Web>, request: HttpRequest) -> HttpResponse {
    respond(&web, &request, &Requirements::default()).await
}

/// Returns what the proxy requires of the token.
///
/// # Errors
/// [`Error::InvalidRequest`] if the query is malformed, or is the one that the proxy's caller sent
/// to the proxy. With such a query, the caller would decide what is required.
fn requirements(request: &HttpRequest) -> Result<Requirements, Error> {
    let query = request.query_string();
    if query.is_empty() {
        return Ok(Requirements::default());
    }
    let is_callers = request.headers().get_all(FORWARDED_URI).any(|uri| {
        // A caller may have sent a fragment, which a proxy may not pass on.
        let original = uri.as_bytes().split(|byte| *byte == b'#').next().unwrap_or_default();
        original.splitn(2, |byte| *byte == b'?').nth(1) == Some(query.as_bytes())
    });
    if is_callers {
        return Err(Error::InvalidRequest(
            "the query of verify equals the one of the proxy's caller: configure the proxy not to \
             pass it on (Caddy: uri /oauth/verify?)",
        ));
    }
    Requirements::parse(query)
}

async fn respond(web: &Web, request: &HttpRequest, required: &Requirements) -> HttpResponse {
    // RFC 6750 §3.1: "If the request lacks any authentication information […], the resource server
    // SHOULD NOT include an error code or other error information."
    let Some(token) = authorization::bearer(request) else {
        return challenge(StatusCode::UNAUTHORIZED, HeaderValue::from_static(NO_TOKEN));
    };
    match web.provider.verify(token, required).await {
        Ok(verified) => pass(&verified),
        Err(VerifyError::InvalidToken) => {
            challenge(StatusCode::UNAUTHORIZED, HeaderValue::from_static(INVALID_TOKEN))
        }
        Err(VerifyError::InsufficientScope) => {
            // RFC 6750 §3: "The "scope" attribute […] value indicates the required scope of the
            // access token for accessing the requested resource". A scope contains no characters
            // that need an escape (RFC 6749 §3.3).
            let value = format!("{INSUFFICIENT_SCOPE}, scope=\"{}\"", required.scope);
            let value = HeaderValue::try_from(value);
            let value = value.unwrap_or(HeaderValue::from_static(INSUFFICIENT_SCOPE));
            challenge(StatusCode::FORBIDDEN, value)
        }
        Err(VerifyError::NoUser) => {
            challenge(StatusCode::FORBIDDEN, HeaderValue::from_static(NO_USER))
        }
        Err(VerifyError::Unavailable(error)) => unavailable(&error),
    }
}

/// Returns the response that lets the request pass. It always has all four headers, empty where
/// there is no value: Envoy and Caddy would pass on a header of the same name from their caller in
/// place of a missing one. Envoy accepts no status other than 200.
fn pass(verified: &Verified) -> HttpResponse {
    let mut response = empty(StatusCode::OK);
    if let Some(user) = &verified.user {
        response.insert_header((USER_ID, user.id.to_string()));
        response.insert_header((USERNAME, encoded(&user.username).as_ref()));
    } else {
        response.insert_header((USER_ID, HeaderValue::from_static("")));
        response.insert_header((USERNAME, HeaderValue::from_static("")));
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

fn challenge(status: StatusCode, challenge: HeaderValue) -> HttpResponse {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_is_due_every_ten_minutes_and_counts_the_requests_since_the_last() {
        let (warnings, start) =
            (QueryWarnings::default(), Timestamp::from_millis(1_790_000_000_000));
        let count = |seconds| warnings.count(start.plus(Duration::from_secs(seconds)));
        assert_eq!((count(0), count(0), count(599)), (Some(1), None, None));
        assert_eq!((count(600), count(601), count(1200)), (Some(3), None, Some(2)));
    }
}
