//! The JSON API for the operator's scripts, below the management page and behind the same gate.
//!
//! [`scope`] lists every route. One file per resource; what they share: [`body`] reads JSON strictly,
//! [`query`] the URL, [`paging`] cuts lists into pages, [`etag`] guards against lost updates, [`problem`]
//! says what went wrong (RFC 9457), [`fields`] has the kinds of values, and [`openapi`] describes it all.

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

/// What handlers work with.
type Context = (Data<Web>, Data<Management>, HttpRequest);

/// What a handler answers.
type Answer = Result<HttpResponse, Problem>;

/// Every route, on one screen.
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

/// A resource that answers other methods than `allowed` with 405 and those.
fn resource(path: &str, allowed: &'static str) -> Resource {
    let other = web::to(move || ready(Answer::Err(Problem::WrongMethod(allowed))));
    web::resource(path).default_service(other)
}

/// An answer that nobody may keep.
fn answer(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}

/// The URL of something below the API: absolute if the server knows its own, else a path.
fn url(web: &Web, management: &Management, below: &str) -> String {
    let issuer = web.provider.issuer().unwrap_or_default();
    format!("{issuer}{}/api{below}", management.path)
}

/// The id in the path. One that cannot be an id names nothing that is there.
fn id<T: FromStr>(request: &HttpRequest, what: &'static str) -> Result<T, Problem> {
    let found = request.match_info().load::<String>().ok().and_then(|id| id.parse().ok());
    found.ok_or(Problem::NotFound(what))
}
