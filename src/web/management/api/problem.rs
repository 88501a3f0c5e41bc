//! Error responses of the API: JSON as in RFC 9457 for every failure.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER,
};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::AdminError;
use crate::domain::InvalidPassword;
use crate::oauth::{self, Unavailable};
use crate::password::PoolError;
use crate::store::StoreError;
use crate::web::error::{RequestError, log_unavailable};

/// Media type of problem details (RFC 9457).
pub(in crate::web::management) const PROBLEM_JSON: &str = "application/problem+json";

/// Media type of JSON (RFC 8259).
pub(super) const JSON: &str = "application/json";

/// Media type of JSON merge patches (RFC 7396).
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";

/// Response header that lists the accepted media types of patches (RFC 5789 §3.1).
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Reason why the management API refuses a request, with the HTTP status of the response.
#[derive(Debug)]
pub(super) enum Problem {
    /// 400: the request body is not JSON or could not be read.
    Body(String),
    /// 400: a query parameter is invalid.
    Parameter {
        /// Name of the invalid query parameter.
        name: String,
        /// Description of the error in the query parameter.
        detail: String,
    },
    /// 404: the management API has no such path.
    NoSuchPath,
    /// 404: the user, client or session does not exist. The text names the type of record.
    NotFound(&'static str),
    /// 405: the path does not accept the request's method. The text lists the accepted methods.
    WrongMethod(&'static str),
    /// 408: the request body did not arrive within the configured time.
    Slow,
    /// 409: the request conflicts with existing data, such as the name of another user.
    Conflict(String),
    /// 412: the header `If-Match` does not name the current version (change counter) of the record.
    OtherVersion,
    /// 413: the request body is larger than the configured limit in bytes.
    TooLarge,
    /// 415: the media type of the request body is none of those in this list.
    MediaType(&'static [&'static str]),
    /// 415: the request body is compressed.
    ContentCoding,
    /// 422: a value in the request body is invalid.
    Invalid {
        /// Position of the invalid value in the request body, as a JSON Pointer (RFC 6901).
        pointer: String,
        /// Description of the error in the request body's invalid value.
        detail: String,
    },
    /// 503: the store or the pool of password workers is unavailable or overloaded.
    Unavailable(oauth::Error),
}

/// Problem details (RFC 9457). The type is `about:blank`: the status code identifies the problem.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(in crate::web::management) struct ProblemJson {
    /// URI of the problem type.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// Reason phrase of the status code.
    #[schema(example = "Unprocessable Content")]
    title: &'static str,
    /// HTTP status code of the response.
    #[schema(example = 422)]
    status: u16,
    /// Human-readable explanation of this occurrence of the problem.
    detail: String,
    /// Invalid values in the request; absent if no value is the cause of the problem.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<ValueError>,
}

/// Error in a value of the request body or in a query parameter.
#[derive(Serialize, ToSchema)]
pub(super) struct ValueError {
    /// JSON Pointer (RFC 6901) to the invalid value in the request body; "" is the whole body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "/username")]
    pointer: Option<String>,
    /// Name of the invalid query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    parameter: Option<String>,
    /// Description of the error in the value or in the query parameter.
    detail: String,
}

impl ProblemJson {
    /// Creates problem details (RFC 9457) that consist of a status and a sentence.
    pub(in crate::web::management) fn new(status: StatusCode, detail: String) -> Self {
        // RFC 9457 §4.2.1: with about:blank "the value of title SHOULD be the same as the
        // recommended HTTP status phrase". RFC 9110 has renamed two of them.
        let title = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
            StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
            other => other.canonical_reason().unwrap_or_default(),
        };
        Self { kind: "about:blank", title, status: status.as_u16(), detail, errors: Vec::new() }
    }
}

impl Problem {
    const fn retry(cause: Unavailable) -> Self {
        Self::Unavailable(oauth::Error::Unavailable(cause))
    }

    fn errors(&self) -> Vec<ValueError> {
        let detail = || self.to_string();
        match self {
            Self::Invalid { pointer, .. } => {
                let pointer = Some(pointer.clone());
                vec![ValueError { pointer, parameter: None, detail: detail() }]
            }
            Self::Parameter { name, .. } => {
                let parameter = Some(name.clone());
                vec![ValueError { pointer: None, parameter, detail: detail() }]
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: &str = match self {
            Self::Body(detail) | Self::Parameter { detail, .. } => detail,
            Self::Conflict(detail) | Self::Invalid { detail, .. } => detail,
            Self::NoSuchPath => "the API has no such path",
            Self::NotFound(what) => return write!(f, "there is no such {what}"),
            Self::WrongMethod(allowed) => return write!(f, "this path accepts {allowed} only"),
            Self::Slow => "the body did not arrive in time",
            Self::OtherVersion => {
                "the record does not have the version in If-Match: read it again, and decide again"
            }
            Self::TooLarge => "the body is too large",
            Self::MediaType(types) => {
                let types = types.join(" or ");
                return write!(f, "the request must have one Content-Type: {types}");
            }
            Self::ContentCoding => return RequestError::ContentCoding.fmt(f),
            Self::Unavailable(oauth::Error::Unavailable(Unavailable::Store(
                StoreError::Invalidation(_),
            ))) => {
                "the change is made, but its Redis invalidation failed; servers retry it until it succeeds"
            }
            Self::Unavailable(_) => {
                "the server is overloaded, or its store is unavailable: try again later"
            }
        };
        f.write_str(text)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Body(_) | Self::Parameter { .. } => StatusCode::BAD_REQUEST,
            Self::NoSuchPath | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::OtherVersion => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) | Self::ContentCoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        match self {
            Self::WrongMethod(allowed) => {
                response.insert_header((ALLOW, *allowed));
            }
            // Closes the connection instead of reading the rest of the body.
            Self::Slow | Self::TooLarge => {
                response.force_close();
            }
            Self::MediaType(types) => {
                response.insert_header((ACCEPT, types.join(", ")));
                // RFC 5789 §2.2: "the 415 response SHOULD contain an Accept-Patch response header".
                if types.contains(&MERGE_PATCH) {
                    response.insert_header((ACCEPT_PATCH, types.join(", ")));
                }
            }
            // RFC 9110 §12.5.3: a server that fails a request because of a content coding "ought to
            // respond with a 415 (Unsupported Media Type) status and include an Accept-Encoding".
            Self::ContentCoding => {
                response.insert_header((ACCEPT_ENCODING, "identity"));
            }
            Self::Unavailable(error) => {
                if let oauth::Error::Unavailable(cause) = error {
                    log_unavailable(cause);
                }
                response.insert_header((RETRY_AFTER, error.retry_after().as_secs()));
            }
            _ => {}
        }
        let problem =
            ProblemJson { errors: self.errors(), ..ProblemJson::new(status, self.to_string()) };
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON)).json(problem)
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NameTaken(_) | AdminError::NameOfClient(_) | AdminError::Invalid(_) => {
                Self::Conflict(error.to_string())
            }
            AdminError::InvalidUsername(_) => {
                Self::Invalid { pointer: "/username".to_owned(), detail: error.to_string() }
            }
            AdminError::NotFound { what, .. } => Self::NotFound(what),
            AdminError::InvalidCursor => {
                Self::Parameter { name: "after".to_owned(), detail: error.to_string() }
            }
            AdminError::OtherVersion => Self::OtherVersion,
            AdminError::Contended => Self::retry(Unavailable::Contended),
            AdminError::Store(error) => Self::retry(error.into()),
            AdminError::Random(error) => Self::retry(error.into()),
        }
    }
}

impl From<InvalidPassword> for Problem {
    fn from(error: InvalidPassword) -> Self {
        Self::Invalid { pointer: "/password".to_owned(), detail: error.to_string() }
    }
}

impl From<PoolError> for Problem {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Hash(error) if error.is_caused_by_password() => {
                Self::Invalid { pointer: "/password".to_owned(), detail: error.to_string() }
            }
            error => Self::retry(error.into()),
        }
    }
}

impl From<RequestError> for Problem {
    fn from(refusal: RequestError) -> Self {
        match refusal {
            RequestError::TooLarge => Self::TooLarge,
            RequestError::Slow => Self::Slow,
            RequestError::MediaType => Self::MediaType(&[JSON]),
            RequestError::ContentCoding => Self::ContentCoding,
            RequestError::Broken | RequestError::Protocol(_) => Self::Body(refusal.to_string()),
        }
    }
}
