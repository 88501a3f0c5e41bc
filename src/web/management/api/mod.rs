//! JSON API for the operator's scripts, below the management page and behind the same
//! authentication check.
//!
//! [`scope`] lists every route. Each resource has a file of its own. Shared code: [`body`] reads
//! JSON strictly, [`query`] reads the query string, [`paging`] splits lists into pages, [`etag`]
//! prevents lost updates, [`problem`] formats errors (RFC 9457), [`fields`] has the types of
//! values, and [`openapi`] describes the API.

mod body;
mod clients;
mod etag;
mod fields;
mod openapi;
mod paging;
mod problem;
mod query;
mod sessions;
mod users;

use std::future::ready;
use std::str::FromStr;

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, delete, patch, post};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Resource, Scope};

use super::Management;
use crate::web::{Web, get_or_head};
use problem::Problem;

pub(super) use problem::{PROBLEM_JSON, View as ProblemBody};

/// State and request that handlers receive.
type Context = (Data<Web>, Data<Management>, HttpRequest);

/// Result of a handler.
type Answer = Result<HttpResponse, Problem>;

/// Returns every route of the API.
pub(super) fn scope() -> Scope {
    web::scope("/api")
        .service(
            resource("/users", "GET, HEAD, POST")
                .route(get_or_head().to(users::list))
                .route(post().to(users::add)),
        )
        .service(
            resource("/users/{id}", "GET, HEAD, PATCH, DELETE")
                .route(get_or_head().to(users::show))
                .route(patch().to(users::edit))
                .route(delete().to(users::remove)),
        )
        .service(resource("/users/{id}/password", "POST").route(post().to(users::set_password)))
        .service(
            resource("/clients", "GET, HEAD, POST")
                .route(get_or_head().to(clients::list))
                .route(post().to(clients::add)),
        )
        .service(
            resource("/clients/{id}", "GET, HEAD, PATCH, DELETE")
                .route(get_or_head().to(clients::show))
                .route(patch().to(clients::edit))
                .route(delete().to(clients::remove)),
        )
        .service(resource("/clients/{id}/secret", "POST").route(post().to(clients::rotate_secret)))
        .service(
            resource("/sessions", "GET, HEAD, DELETE")
                .route(get_or_head().to(sessions::list))
                .route(delete().to(sessions::end_all)),
        )
        .service(
            resource("/sessions/{id}", "GET, HEAD, DELETE")
                .route(get_or_head().to(sessions::show))
                .route(delete().to(sessions::end)),
        )
        .service(resource("/openapi.json", "GET, HEAD").route(get_or_head().to(openapi::answer)))
        .default_service(web::to(async || Answer::Err(Problem::NoSuchPath)))
}

/// Creates a resource that responds to other methods than `allowed` with 405.
fn resource(path: &str, allowed: &'static str) -> Resource {
    let other = web::to(move || ready(Answer::Err(Problem::WrongMethod(allowed))));
    web::resource(path).default_service(other)
}

/// Starts a response that must not be stored.
fn answer(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}

/// Returns the URL of a path below the API: absolute if the server has an issuer, otherwise a path.
fn url(web: &Web, management: &Management, below: &str) -> String {
    let issuer = web.provider.issuer().unwrap_or_default();
    format!("{issuer}{}/api{below}", management.path)
}

/// Returns the id in the path. A malformed id is reported as not found.
fn id<T: FromStr>(request: &HttpRequest, what: &'static str) -> Result<T, Problem> {
    let found = request.match_info().load::<String>().ok().and_then(|id| id.parse().ok());
    found.ok_or(Problem::NotFound(what))
}
