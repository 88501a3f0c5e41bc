//! Routes of the pages.

use actix_web::guard;
use actix_web::web::{self, ServiceConfig};

use super::page_context::PageContext;
use super::page_error::{PageError, PageResult};
use super::{clients, dashboard, flask_sentinel, sessions, users};
use crate::web::routing::get_or_head;

/// Registers the pages below the path of the management page.
pub(in crate::web::management) fn configure(config: &mut ServiceConfig) {
    let mut show = |path: &str, get: actix_web::Route| {
        config.service(web::resource(path).route(get).default_service(web::to(only_get)));
    };
    show("/assets/{name}", get_or_head().to(asset));
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

async fn only_get() -> PageError {
    PageError::Method("GET, HEAD")
}

async fn only_post() -> PageError {
    PageError::Method("POST")
}

async fn get_and_post() -> PageError {
    PageError::Method("GET, HEAD, POST")
}

/// Returns the 404 error for a path without a management page.
pub(in crate::web::management) async fn no_such_page() -> PageError {
    PageError::NoSuchPage
}

/// Responds with the style sheet or the icon of the management page that has this file name.
async fn asset(context: PageContext, name: web::Path<String>) -> PageResult {
    let set = context.templates();
    Ok(set.assets.named(&name).ok_or(PageError::NoSuchPage)?.respond())
}
