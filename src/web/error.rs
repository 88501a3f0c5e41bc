//! Error responses of the protocol endpoints: JSON as in RFC 6749 §5.2 for every failure.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;

use super::Web;
use crate::oauth::{Error, ErrorCode, Unavailable};
use crate::observe::error_chain;
use crate::observe::log::ANY_CALLER;
use crate::password::PoolError;
use crate::store::StoreError;

/// Value of `WWW-Authenticate` for a client that did not authenticate (RFC 7617 §2).
const BASIC_CHALLENGE: &str = "Basic realm=\"sentinel\", charset=\"UTF-8\"";

/// Reason why an OAuth protocol endpoint refuses a request, with the HTTP status of the response.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// OAuth 2.0 error from the provider; the variant of the [`Error`] determines the status.
    #[error(transparent)]
    Protocol(#[from] Error),
    /// 413: the request body is larger than the endpoint accepts.
    #[error("the request body is too large")]
    TooLarge,
    /// 408: the request body did not arrive within the configured time.
    #[error("the request body did not arrive in time")]
    Slow,
    /// 400: the connection broke, or the framing of the request body is invalid.
    #[error("the request body could not be read")]
    Broken,
    /// 400: the request headers do not declare a form, or declare more than one media type.
    #[error("the request must have one Content-Type: application/x-www-form-urlencoded")]
    MediaType,
    /// 400: the request body is compressed.
    #[error("the body has a Content-Encoding, which is not supported: send it uncompressed")]
    ContentCoding,
}

impl RequestError {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Protocol(error) => match error {
                Error::InvalidClient(_) => StatusCode::UNAUTHORIZED,
                Error::IntrospectionForbidden => StatusCode::FORBIDDEN,
                Error::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
                Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            },
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::MediaType | Self::ContentCoding => StatusCode::BAD_REQUEST,
        }
    }

    const fn code(&self) -> ErrorCode {
        match self {
            Self::Protocol(error) => error.code(),
            _ => ErrorCode::InvalidRequest,
        }
    }
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    error: &'a str,
    error_description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_uri: Option<&'a str>,
}

impl Web {
    /// Returns the JSON error response (RFC 6749 §5.2) to a refused request.
    pub(super) fn refuse(&self, refusal: &RequestError) -> HttpResponse {
        self.refuse_with(refusal, refusal.status())
    }

    /// Returns the JSON error response to a refused token request. The status may be that of
    /// flask-sentinel (the predecessor), which had no endpoint but the token endpoint.
    pub(super) fn refuse_token(&self, refusal: &RequestError) -> HttpResponse {
        self.refuse_with(
            refusal,
            self.flask_sentinel_status(refusal).unwrap_or_else(|| refusal.status()),
        )
    }

    fn refuse_with(&self, refusal: &RequestError, status: StatusCode) -> HttpResponse {
        let code = refusal.code();
        let mut response = json(status);
        // RFC 6749 §5.2: the server "MUST respond with an HTTP 401 (Unauthorized) status code and
        // include the "WWW-Authenticate" response header field matching the authentication scheme
        // used by the client". Every 401 needs the header (RFC 9110 §15.5.2).
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, BASIC_CHALLENGE));
        }
        if let RequestError::Protocol(Error::Unavailable(cause)) = refusal {
            log_unavailable(cause);
        }
        // RFC 6585 §4: a 429 "MAY include a Retry-After header indicating how long to wait".
        if let RequestError::Protocol(error @ (Error::Unavailable(_) | Error::RateLimited(_))) =
            refusal
        {
            response.insert_header((RETRY_AFTER, error.retry_after().as_secs()));
        }
        if matches!(refusal, RequestError::TooLarge | RequestError::Slow | RequestError::Broken) {
            // Closes the connection instead of reading the rest of the body.
            response.force_close();
        }
        response.json(ErrorJson {
            error: code.as_str(),
            error_description: &refusal.to_string(),
            error_uri: self.config.error_uri.as_deref(),
        })
    }

    /// Returns 401 if flask-sentinel (the predecessor of this server) returned 401 for this error
    /// and the operator has enabled its statuses; otherwise `None`.
    fn flask_sentinel_status(&self, refusal: &RequestError) -> Option<StatusCode> {
        use ErrorCode::{InvalidGrant, InvalidScope, UnauthorizedClient};
        let old = matches!(refusal.code(), InvalidGrant | InvalidScope | UnauthorizedClient);
        (self.config.flask_sentinel_status && old).then_some(StatusCode::UNAUTHORIZED)
    }
}

/// Starts a JSON response that must not be stored. RFC 6749 §5.1: "The authorization server MUST
/// include the HTTP "Cache-Control" response header field with a value of "no-store" in any
/// response containing tokens, credentials, or other sensitive information, as well as the "Pragma"
/// response header field with a value of "no-cache"."
pub(super) fn json(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    // `from_static` copies nothing, unlike the conversion from `&str`.
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((PRAGMA, HeaderValue::from_static("no-cache")));
    response
}

/// Responds with 405 to methods other than POST at an endpoint that accepts only POST (RFC 6749
/// §3.2: "The client MUST use the HTTP "POST" method").
pub(super) async fn only_post(web: web::Data<Web>) -> HttpResponse {
    wrong_method(&web, "POST")
}

/// Responds with 405 to methods other than GET and HEAD at an endpoint that accepts only these.
pub(super) async fn only_get(web: web::Data<Web>) -> HttpResponse {
    wrong_method(&web, "GET, HEAD")
}

fn wrong_method(web: &Web, allowed: &str) -> HttpResponse {
    json(StatusCode::METHOD_NOT_ALLOWED).insert_header((ALLOW, allowed)).json(ErrorJson {
        error: ErrorCode::InvalidRequest.as_str(),
        error_description: &format!(
            "this endpoint accepts {} only",
            allowed.replace(", ", " and ")
        ),
        error_uri: web.config.error_uri.as_deref(),
    })
}

/// Responds with 404 to a request for a path without an endpoint.
pub(super) async fn not_found(web: web::Data<Web>) -> HttpResponse {
    json(StatusCode::NOT_FOUND).json(ErrorJson {
        error: ErrorCode::InvalidRequest.as_str(),
        error_description: "there is no such endpoint",
        error_uri: web.config.error_uri.as_deref(),
    })
}

/// Returns the JSON error response to a request that is rejected before a handler receives it.
pub fn bad_request(status: StatusCode, description: &str) -> HttpResponse {
    json(status).json(ErrorJson {
        error: ErrorCode::InvalidRequest.as_str(),
        error_description: description,
        error_uri: None,
    })
}

/// Logs why a request was answered with 503: overload as a warning, any other cause as an error.
pub(super) fn log_unavailable(cause: &Unavailable) {
    match cause {
        Unavailable::Passwords(PoolError::Busy) | Unavailable::Store(StoreError::Busy) => {
            tracing::warn!(name: ANY_CALLER, "answered 503 because of overload: {cause}");
        }
        _ => {
            let why = cause.to_string();
            tracing::error!(name: ANY_CALLER, why, "answered 503: {}", error_chain(cause));
        }
    }
}
