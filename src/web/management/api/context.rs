//! Types and functions that all handlers of the API use.

use std::str::FromStr;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::problem::Problem;
use crate::web::management::state::Management;
use crate::web::state::Web;

/// State and request that handlers receive.
pub(super) type Context = (Data<Web>, Data<Management>, HttpRequest);

/// Result of a handler.
pub(super) type ApiResult = Result<HttpResponse, Problem>;

/// Returns the URL of a path below the API: absolute if the server has an issuer, otherwise a path.
pub(super) fn url(web: &Web, management: &Management, below: &str) -> String {
    let issuer = web.provider.issuer().unwrap_or_default();
    format!("{issuer}{}/api{below}", management.path())
}

/// Returns the id in the path. A malformed id is reported as not found.
pub(super) fn id<T: FromStr>(request: &HttpRequest, what: &'static str) -> Result<T, Problem> {
    let found = request.match_info().load::<String>().ok().and_then(|id| id.parse().ok());
    found.ok_or(Problem::NotFound(what))
}
