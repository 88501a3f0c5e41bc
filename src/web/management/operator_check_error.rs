//! Responses for requests that fail the operator check: 401, 403, 429.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse};

use super::api::problem::{PROBLEM_JSON, ProblemJson};
use super::page::refused_page;
use super::state::Management;
use crate::rate_limit::RateLimited;

/// Value of `WWW-Authenticate` for the operator (RFC 7617 §2.1: the charset "indicates that the
/// server expects character data in UTF-8"). The realm differs from that of the protocol endpoints,
/// so that a browser does not offer credentials of one for the other.
const CHALLENGE: &str = "Basic realm=\"sentinel management\", charset=\"UTF-8\"";

/// Reason why the check for the operator refuses a request to the management page or API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OperatorCheckError {
    /// 401: the operator's credentials are missing or wrong.
    #[error("log in with management.username and management.password")]
    NotTheOperator,
    /// 403: another site made a browser send the request.
    #[error(
        "another site made the browser send this request; if it came from this page, set \
         server.public_url to the URL of this server, or configure the proxy to pass on Host"
    )]
    CrossSite,
    /// 429 (RFC 6585 §4): too many attempts with wrong credentials of the operator were made.
    #[error(transparent)]
    RateLimited(#[from] RateLimited),
}

impl OperatorCheckError {
    const fn status(self) -> StatusCode {
        match self {
            Self::NotTheOperator => StatusCode::UNAUTHORIZED,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Returns the text of the page that refuses the request.
    fn explanation(self) -> String {
        match self {
            Self::NotTheOperator => {
                "This page is for the operator. Reload it, and log in with management.username and \
                 management.password of the server's settings."
                    .to_owned()
            }
            Self::CrossSite => format!("Nothing was changed: {self}."),
            Self::RateLimited(limited) => format!(
                "There were too many attempts with wrong credentials. Try again in {} seconds.",
                limited.retry_after.as_secs()
            ),
        }
    }

    /// Returns the response that refuses the request: RFC 9457 JSON for the API, otherwise a
    /// page.
    pub(super) fn respond(self, management: &Management, request: &HttpRequest) -> HttpResponse {
        let status = self.status();
        let mut response = HttpResponse::build(status);
        if self == Self::NotTheOperator {
            response.insert_header((WWW_AUTHENTICATE, CHALLENGE));
        }
        if let Self::RateLimited(limited) = self {
            response.insert_header((RETRY_AFTER, limited.retry_after.as_secs()));
        }
        if management.is_api(request.path()) {
            response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
            return response.json(ProblemJson::new(status, self.to_string()));
        }
        refused_page::respond(response, management, status, self.explanation())
    }
}
