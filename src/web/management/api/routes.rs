//! Routes of the API.

use std::future::ready;

use actix_web::web::{self, delete, patch, post};
use actix_web::{Resource, Scope};

use super::context::ApiResult;
use super::problem::Problem;
use super::{clients, openapi, sessions, users};
use crate::web::routing::get_or_head;

/// Returns the actix-web scope `/api` with every route of the management API.
pub(in crate::web::management) fn scope() -> Scope {
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
        .service(resource("/openapi.json", "GET, HEAD").route(get_or_head().to(openapi::handle)))
        .default_service(web::to(async || ApiResult::Err(Problem::NoSuchPath)))
}

/// Creates an actix-web resource at `path` that responds to methods other than `allowed` with 405.
fn resource(path: &str, allowed: &'static str) -> Resource {
    let other = web::to(move || ready(ApiResult::Err(Problem::WrongMethod(allowed))));
    web::resource(path).default_service(other)
}
