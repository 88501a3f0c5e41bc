//! Page for a browser whose request fails the check for the operator. It has its style inline,
//! since the style of the other pages requires the operator's credentials.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use tera::Context;

use crate::web::management::state::Management;
use crate::web::public_page;

/// File name of the template.
pub(super) const TEMPLATE: &str = "management/refused.html";

/// Variables of the template.
#[derive(Debug, Serialize)]
pub(super) struct RefusedView {
    pub(super) style: String,
    pub(super) status: u16,
    pub(super) title: String,
    pub(super) message: String,
}

/// Completes a response that refuses a request: with a page that shows `message`.
pub(in crate::web::management) fn respond(
    mut response: HttpResponseBuilder,
    management: &Management,
    status: StatusCode,
    message: String,
) -> HttpResponse {
    let set = management.templates.current();
    let title = status.canonical_reason().unwrap_or_default().to_owned();
    let style = set.public_style.clone();
    let policy = public_page::content_security_policy(&style);
    let view = RefusedView { style, status: status.as_u16(), title, message };
    let html = Context::from_serialize(&view).and_then(|context| set.render(TEMPLATE, &context));
    match html {
        Ok(html) => response
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CONTENT_SECURITY_POLICY, policy))
            .body(html),
        Err(error) => {
            tracing::error!("the page of a refused request cannot be rendered: {error}");
            response.body(format!("{}: {}\n", view.title, view.message))
        }
    }
}
