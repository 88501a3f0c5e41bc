//! Management page. The server renders it without scripts, so every operation is a link or a form.
//!
//! A handler reads the query or the form, calls [`crate::admin`], and renders a template or
//! redirects with 303. [`failure`] turns errors into pages.

mod assets;
mod chart;
mod client_form;
mod clients;
mod dashboard;
mod desk;
mod failure;
mod fields;
mod flask_sentinel;
mod form;
mod links;
mod moment;
mod notice;
mod samples;
mod sessions;
mod user_form;
mod users;
mod views;

use actix_web::guard;
use actix_web::web::{self, ServiceConfig};

pub use assets::Assets;
pub(super) use failure::{Failure, explain};
pub use samples::samples;

use crate::web::get_or_head;

/// Registers the pages below the path of the management page.
pub(super) fn configure(config: &mut ServiceConfig) {
    let mut show = |path: &str, get: actix_web::Route| {
        config.service(web::resource(path).route(get).default_service(web::to(only_get)));
    };
    show("/assets/{name}", get_or_head().to(assets::answer));
    show("/users/new", get_or_head().to(users::new));
    show("/clients/new", get_or_head().to(clients::new));
    show("/sessions", get_or_head().to(sessions::list));

    let mut act = |path: &str, post: actix_web::Route| {
        let post = post.guard(guard::Post());
        config.service(web::resource(path).route(post).default_service(web::to(only_post)));
    };
    act("/users/{id}/password", web::route().to(users::set_password));
    act("/users/{id}/disable", web::route().to(users::disable));
    act("/users/{id}/enable", web::route().to(users::enable));
    act("/clients/{id}/disable", web::route().to(clients::disable));
    act("/clients/{id}/enable", web::route().to(clients::enable));
    act("/sessions/{id}/end", web::route().to(sessions::end));

    let mut both = |path: &str, get: actix_web::Route, post: actix_web::Route| {
        let post = post.guard(guard::Post());
        let resource = web::resource(path).route(get).route(post);
        config.service(resource.default_service(web::to(get_and_post)));
    };
    for root in ["", "/"] {
        let add = web::route().to(flask_sentinel::add);
        both(root, get_or_head().to(dashboard::show), add);
    }
    both("/users", get_or_head().to(users::list), web::route().to(users::add));
    both("/users/{id}", get_or_head().to(users::show), web::route().to(users::edit));
    both("/users/{id}/delete", get_or_head().to(users::confirm), web::route().to(users::delete));
    both("/clients", get_or_head().to(clients::list), web::route().to(clients::add));
    both("/clients/{id}", get_or_head().to(clients::show), web::route().to(clients::edit));
    both(
        "/clients/{id}/secret",
        get_or_head().to(clients::confirm_rotation),
        web::route().to(clients::rotate),
    );
    both(
        "/clients/{id}/delete",
        get_or_head().to(clients::confirm),
        web::route().to(clients::delete),
    );
    both("/sessions/end", get_or_head().to(sessions::confirm), web::route().to(sessions::end_all));
}

async fn only_get() -> Failure {
    Failure::Method("GET, HEAD")
}

async fn only_post() -> Failure {
    Failure::Method("POST")
}

async fn get_and_post() -> Failure {
    Failure::Method("GET, HEAD, POST")
}

/// Returns the error for a path without a page.
pub(super) async fn no_such_page() -> Failure {
    Failure::NoSuchPage
}
