//! Error pages.

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::layout;
use super::page_error::PageError;
use super::urls::relative;
use crate::oauth::Unavailable;
use crate::store::StoreError;
use crate::web::error::log_unavailable;
use crate::web::management::state::Management;

/// Contents of an error page of the management page, as the template receives them.
#[derive(Serialize)]
pub(super) struct MessageView {
    pub(super) status: u16,
    pub(super) title: &'static str,
    pub(super) message: String,
}

/// Replaces a response that contains a [`PageError`] by an error page. Logs failures of the server.
pub(in crate::web::management) fn explain(
    management: &Management,
    response: ServiceResponse<BoxBody>,
) -> ServiceResponse<BoxBody> {
    let page_error = response.response().error().and_then(|error| error.as_error::<PageError>());
    let Some(page_error) = page_error else { return response };
    let base = relative(management.path(), response.request().path());
    let page = page(management, &base, page_error);
    response.into_response(page)
}

fn page(management: &Management, base: &str, page_error: &PageError) -> HttpResponse {
    let status = page_error.status_code();
    let title = status.canonical_reason().unwrap_or_default();
    let view = MessageView { status: status.as_u16(), title, message: page_error.to_string() };
    let html = layout::html(management, base, "", None, "management/message.html", &view);
    let mut response = match html {
        Ok(html) => layout::response(status, html),
        Err(error) => {
            tracing::error!("the error page cannot be rendered: {error}");
            HttpResponse::build(status).body(format!("{title}\n"))
        }
    };
    match page_error {
        PageError::Template(error) => tracing::error!("a page cannot be rendered: {error}"),
        PageError::Unavailable(cause) | PageError::Invalidation(cause) => log_unavailable(cause),
        _ => {}
    }
    let headers = response.headers_mut();
    match page_error {
        PageError::Method(allowed) => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        PageError::Unavailable(Unavailable::Store(StoreError::Unavailable(_))) => {
            headers.insert(RETRY_AFTER, 5.into());
        }
        PageError::Unavailable(_) | PageError::Invalidation(_) => {
            headers.insert(RETRY_AFTER, 1.into());
        }
        _ => {}
    }
    response
}
