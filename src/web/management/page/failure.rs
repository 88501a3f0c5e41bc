//! Error pages.

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};
use serde::Serialize;

use super::desk;
use crate::admin::AdminError;
use crate::oauth::{Error, Unavailable};
use crate::password::PoolError;
use crate::store::StoreError;
use crate::web::error::{Refusal, log_unavailable};
use crate::web::management::Management;

/// Reason why a page cannot be shown or a form cannot be processed.
#[derive(Debug, thiserror::Error)]
pub(in crate::web::management) enum Failure {
    /// 404: the path has no page.
    #[error("There is no such page.")]
    NoSuchPage,
    /// 404: the record does not exist; it may have been deleted in the meantime.
    #[error("There is no such {0}. It may have been deleted in the meantime.")]
    Gone(&'static str),
    /// 405, with the allowed methods.
    #[error("This address takes {0} only.")]
    Method(&'static str),
    /// The form cannot be read. The [`Refusal`] has the status.
    #[error("{0}.")]
    Body(#[from] Refusal),
    /// 400: the form is not one that the built-in templates send.
    #[error("The form is not one of ours.")]
    Malformed,
    /// 422: the form is invalid, and the template has no place for the error.
    #[error("{0}")]
    Refused(String),
    /// 409: others changed the same record at the same time.
    #[error("Others keep changing the same record. Nothing was changed; try again.")]
    Contended,
    /// 503: the change was made, but the Redis invalidation failed.
    #[error(
        "The change is stored, but its Redis invalidation failed. Until it succeeds, ended tokens may \
         still work with services that read Redis. The servers retry it."
    )]
    Invalidation(Unavailable),
    /// 503: the store or the password workers are unavailable.
    #[error("{}", unavailable(.0))]
    Unavailable(Unavailable),
    /// 500: a built-in template is invalid.
    #[error("The page could not be made.")]
    Template(#[from] tera::Error),
}

fn unavailable(cause: &Unavailable) -> &'static str {
    match cause {
        Unavailable::Store(StoreError::Busy) | Unavailable::Passwords(PoolError::Busy) => {
            "The server has too much to do. Nothing was changed; try again in a moment."
        }
        Unavailable::Store(StoreError::Corrupt { .. }) => {
            "The store holds a record that cannot be understood. The log says which."
        }
        Unavailable::Store(_) => "The store does not answer. Try again when it is back.",
        _ => "The password could not be hashed. Nothing was changed; try again.",
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Invalidation(_) => Self::Invalidation(error.into()),
            error => Self::Unavailable(error.into()),
        }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Converts the errors that remain after the handlers have shown errors about a field beside it.
impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotFound { what, .. } => Self::Gone(what),
            AdminError::Store(error) => error.into(),
            AdminError::Contended | AdminError::OtherVersion => Self::Contended,
            AdminError::NameTaken(_) | AdminError::InvalidUsername(_) | AdminError::Invalid(_) => {
                Self::Malformed
            }
        }
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoSuchPage | Self::Gone(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Body(refusal) => refusal.status(),
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Contended => StatusCode::CONFLICT,
            Self::Invalidation(_) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Template(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Lets a route respond with a [`Failure`] alone.
impl Responder for Failure {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::from_error(self)
    }
}

#[derive(Serialize)]
pub(super) struct View {
    pub(super) status: u16,
    pub(super) title: &'static str,
    pub(super) message: String,
}

/// Replaces a failed response with an error page. Errors of the server are logged.
pub(in crate::web::management) fn explain(
    management: &Management,
    response: ServiceResponse<BoxBody>,
) -> ServiceResponse<BoxBody> {
    let failure = response.response().error().and_then(|error| error.as_error::<Failure>());
    let Some(failure) = failure else { return response };
    let page = page(management, failure);
    response.into_response(page)
}

fn page(management: &Management, failure: &Failure) -> HttpResponse {
    let status = failure.status_code();
    let title = status.canonical_reason().unwrap_or_default();
    let view = View { status: status.as_u16(), title, message: failure.to_string() };
    let mut response = desk::render(management, status, "", None, "management/message.html", &view)
        .unwrap_or_else(|error| {
            tracing::error!("a page could not be made: {error}");
            HttpResponse::build(status).body(format!("{title}\n"))
        });
    match failure {
        Failure::Template(error) => tracing::error!("a page could not be made: {error}"),
        Failure::Unavailable(cause) | Failure::Invalidation(cause) => log_unavailable(cause),
        _ => {}
    }
    let headers = response.headers_mut();
    match failure {
        Failure::Method(allowed) => {
            headers.insert(ALLOW, actix_web::http::header::HeaderValue::from_static(allowed));
        }
        Failure::Unavailable(Unavailable::Store(StoreError::Unavailable(_))) => {
            headers.insert(RETRY_AFTER, 5.into());
        }
        Failure::Unavailable(_) | Failure::Invalidation(_) => {
            headers.insert(RETRY_AFTER, 1.into());
        }
        _ => {}
    }
    response
}

/// Converts errors about parameters and bodies, which have the same status as at the other
/// endpoints.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Body(error.into())
    }
}
