//! Types and functions that all handlers of the API use.

use std::str::FromStr;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::problem::Problem;
use crate::web::management::state::Management;
use crate::web::state::Web;

/// Server state, management state and HTTP request that every API handler receives.
pub(super) type Context = (Data<Web>, Data<Management>, HttpRequest);

/// Result of an API handler: the response, or the [`Problem`] with which to respond.
pub(super) type ApiResult = Result<HttpResponse, Problem>;

/// Returns the URL of the API path `below`; only its path if the server has no issuer (public URL).
pub(super) fn url(web: &Web, management: &Management, below: &str) -> String {
    let issuer = web.provider.issuer().unwrap_or_default();
    format!("{issuer}{}/api{below}", management.path())
}

/// Returns the id of a user, client or session in the request's path. For a malformed id, returns a
/// 404 problem that names `what`, the type of record.
pub(super) fn id<T: FromStr>(request: &HttpRequest, what: &'static str) -> Result<T, Problem> {
    let found = request.match_info().load::<String>().ok().and_then(|id| id.parse().ok());
    found.ok_or(Problem::NotFound(what))
}
