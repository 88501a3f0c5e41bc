//! Renders a page: the view of a handler, and the values that every template receives.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use serde::Serialize;
use tera::{Context, TeraResult};

use crate::web::management::state::Management;
use crate::web::templates::Assets;

/// Values, such as the URL of the style sheet, that every management page template gets as `page`.
#[derive(Serialize)]
pub(super) struct Layout<'a> {
    /// URL of the management page's first page, without a trailing slash.
    base: &'a str,
    /// URL of the management page's first page.
    home: &'a str,
    style: String,
    icon: String,
    section: &'a str,
    notice: Option<String>,
    version: &'static str,
}

impl<'a> Layout<'a> {
    pub(super) fn new(
        base: &'a str,
        assets: &Assets,
        section: &'a str,
        notice: Option<String>,
    ) -> Self {
        Self {
            base,
            home: base,
            style: format!("{base}/assets/{}", assets.style()),
            icon: format!("{base}/assets/{}", assets.icon()),
            section,
            notice,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Returns the values for a template: this layout as `page`, and the members of `view`.
    pub(super) fn with(&self, view: &impl Serialize) -> TeraResult<Context> {
        let mut context = Context::from_serialize(view)?;
        context.insert("page", self);
        Ok(context)
    }
}

/// Renders `template` with `view` and the layout (values for every page), and returns the HTML.
/// `base` is the URL of the management page's first page.
pub(super) fn html(
    management: &Management,
    base: &str,
    section: &str,
    notice: Option<String>,
    template: &str,
    view: &impl Serialize,
) -> TeraResult<String> {
    let set = management.templates.current();
    let layout = Layout::new(base, &set.assets, section, notice);
    set.render(template, &layout.with(view)?)
}

/// Returns an HTTP response with this status and HTML page.
pub(super) fn response(status: StatusCode, html: String) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(html)
}
