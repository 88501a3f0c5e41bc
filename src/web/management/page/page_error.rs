//! Errors of the page handlers. `error_page` turns them into pages.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};

use crate::admin::AdminError;
use crate::oauth::{Error, Unavailable};
use crate::password::PoolError;
use crate::store::StoreError;
use crate::web::error::RequestError;

/// Result of a page handler: the response, or the error to show as a page.
pub(super) type PageResult = Result<HttpResponse, PageError>;

/// Reason why a management page cannot be shown or a posted form cannot be processed.
#[derive(Debug, thiserror::Error)]
pub(in crate::web::management) enum PageError {
    /// 404: the management page has no page at the requested path.
    #[error("There is no such page.")]
    NoSuchPage,
    /// 404: the user, client or session does not exist; it may have been deleted in the meantime.
    #[error("There is no such {0}. It may have been deleted in the meantime.")]
    Gone(&'static str),
    /// 405: the page does not accept the request's method. The text lists the accepted methods.
    #[error("This URL accepts {0} only.")]
    Method(&'static str),
    /// The posted form cannot be read. The [`RequestError`] has the HTTP status.
    #[error("{0}.")]
    Body(#[from] RequestError),
    /// 400: the posted form is not readable, or does not have the fields that the page expects.
    #[error("The form does not have the fields that this page expects.")]
    Malformed,
    /// 400: the posted form contains octets that are not UTF-8.
    #[error("The form is not in UTF-8.")]
    NotUtf8,
    /// 400: the cursor in the URL (`after`) is not the key of an entry of the list.
    #[error("This URL does not lead to a part of the list. Open the list again.")]
    Cursor,
    /// 422: the posted form is invalid, and the operator's own template does not show the error.
    #[error("{0}")]
    Refused(String),
    /// 409: others changed the same user or client at the same time, so this change was not made.
    #[error("Others changed the same record at the same time. Nothing was changed; try again.")]
    Contended,
    /// 503: the change was made, but invalidation (removal of copies from Redis) failed.
    #[error(
        "The change is made, but its Redis invalidation failed: ended sessions may still be accepted. \
         Servers retry it until it succeeds."
    )]
    Invalidation(Unavailable),
    /// 503: the store or the pool of password workers is unavailable or overloaded.
    #[error("{}", unavailable(.0))]
    Unavailable(Unavailable),
    /// 500: a built-in template of the management page is invalid.
    #[error("The page could not be rendered. The log has the error.")]
    Template(#[from] tera::Error),
}

fn unavailable(cause: &Unavailable) -> &'static str {
    match cause {
        Unavailable::Store(StoreError::Busy) | Unavailable::Passwords(PoolError::Busy) => {
            "The server is overloaded. Nothing was changed; try again in a moment."
        }
        Unavailable::Store(StoreError::Corrupt { .. }) => {
            "The store has a record that cannot be read. The log names it."
        }
        Unavailable::Store(_) => "The store is unavailable. Try again when it answers.",
        _ => "The password could not be hashed. Nothing was changed; try again.",
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Invalidation(_) => Self::Invalidation(error.into()),
            error => Self::Unavailable(error.into()),
        }
    }
}

impl From<PoolError> for PageError {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Converts errors of administrative operations that handlers have not shown beside a form field.
impl From<AdminError> for PageError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotFound { what, .. } => Self::Gone(what),
            AdminError::Store(error) => error.into(),
            AdminError::Random(error) => Self::Unavailable(error.into()),
            AdminError::Contended | AdminError::OtherVersion => Self::Contended,
            AdminError::InvalidCursor => Self::Cursor,
            AdminError::NameTaken(_)
            | AdminError::NameOfClient(_)
            | AdminError::InvalidUsername(_)
            | AdminError::Invalid(_) => Self::Malformed,
        }
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoSuchPage | Self::Gone(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Body(refusal) => refusal.status(),
            Self::Malformed | Self::NotUtf8 | Self::Cursor => StatusCode::BAD_REQUEST,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Contended => StatusCode::CONFLICT,
            Self::Invalidation(_) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Template(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Turns a [`PageError`] into an HTTP response, so that a handler can return the error alone.
impl Responder for PageError {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::from_error(self)
    }
}

/// Converts OAuth errors about parameters and bodies, which have the same HTTP status as at the
/// OAuth protocol endpoints.
impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self::Body(error.into())
    }
}
