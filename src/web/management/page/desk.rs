//! Per-request context for the page handlers: store, templates and query.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use secrecy::SecretString;
use serde::Serialize;
use tera::Context;

use super::fields::Fields;
use super::{Assets, Failure, notice};
use crate::admin::Admin;
use crate::domain::{Lifetimes, PasswordHash, Timestamp};
use crate::observe::activity::Activity;
use crate::password::PoolError;
use crate::store::Page;
use crate::web::Web;
use crate::web::management::Management;
use crate::web::templates::Set;

/// Maximum number of entries on a page of a list.
const PAGE: u32 = 50;

/// Context of one request.
pub(super) struct Desk {
    web: web::Data<Web>,
    management: web::Data<Management>,
    pub(super) query: Fields,
}

impl FromRequest for Desk {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let web = request.app_data::<web::Data<Web>>();
        let management = request.app_data::<web::Data<Management>>();
        let desk = web.zip(management).map(|(web, management)| Self {
            web: web.clone(),
            management: management.clone(),
            query: Fields::parse(request.query_string().as_bytes()),
        });
        ready(desk.ok_or(Failure::NoSuchPage))
    }
}

impl Desk {
    pub(super) fn admin(&self) -> &Admin {
        &self.management.admin
    }

    pub(super) fn now(&self) -> Timestamp {
        self.management.admin.now()
    }

    pub(super) fn activity(&self) -> &Activity {
        self.web.provider.activity()
    }

    pub(super) fn templates(&self) -> Arc<Set> {
        self.management.templates.current()
    }

    /// Returns the path of the management page, without a trailing slash.
    pub(super) fn base(&self) -> &str {
        &self.management.path
    }

    /// Returns the minimum number of characters of a new password.
    pub(super) fn shortest_password(&self) -> usize {
        self.management.shortest_password
    }

    /// Returns the path of the first page.
    pub(super) fn home(&self) -> &str {
        home(self.base())
    }

    /// Returns the lifetimes for clients that have none of their own.
    pub(super) fn server_lifetimes(&self) -> &Lifetimes {
        self.web.provider.lifetimes()
    }

    pub(super) async fn hash(&self, password: &str) -> Result<PasswordHash, PoolError> {
        self.management.passwords.hash(SecretString::from(password)).await
    }

    /// Returns a page that shows `view`.
    pub(super) fn show(
        &self,
        section: &'static str,
        template: &str,
        view: &impl Serialize,
    ) -> Result<HttpResponse, Failure> {
        let notice = notice::of(&self.query);
        render(&self.management, StatusCode::OK, section, notice, template, view)
    }

    /// Returns a page that shows an invalid form again, with status 422 (RFC 9110 §15.5.21).
    pub(super) fn show_again(
        &self,
        section: &'static str,
        template: &str,
        view: &impl Serialize,
    ) -> Result<HttpResponse, Failure> {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        render(&self.management, status, section, None, template, view)
    }

    /// Returns a page that shows a form for a record that was changed in the meantime, with status
    /// 409 (RFC 9110 §15.5.10).
    pub(super) fn show_changed(
        &self,
        section: &'static str,
        template: &str,
        view: &impl Serialize,
    ) -> Result<HttpResponse, Failure> {
        render(&self.management, StatusCode::CONFLICT, section, None, template, view)
    }

    /// Returns the HTML of the page that [`Self::show_again`] returns.
    pub(super) fn html(
        &self,
        section: &'static str,
        template: &str,
        view: &impl Serialize,
    ) -> Result<String, Failure> {
        html(&self.management, section, None, template, view)
    }

    /// Redirects the browser with 303 (RFC 9110 §15.4.4), so that a reload does not repeat the
    /// operation.
    pub(super) fn see_other(&self, path: &str) -> HttpResponse {
        let location = if path.is_empty() { self.home() } else { self.base() };
        HttpResponse::SeeOther().insert_header((LOCATION, format!("{location}{path}"))).finish()
    }

    /// Returns the requested part of a list with one entry more, which shows whether another page
    /// follows.
    pub(super) fn page(&self) -> Page {
        let after = self.query.get("after");
        Page { cursor: Some(after.to_owned()).filter(|after| !after.is_empty()), limit: PAGE + 1 }
    }
}

/// Removes the additional entry, and returns whether there was one.
pub(super) fn cut<T>(entries: &mut Vec<T>) -> bool {
    let more = entries.len() > PAGE as usize;
    entries.truncate(PAGE as usize);
    more
}

/// Values that every template receives as `page`.
#[derive(Serialize)]
pub(super) struct Common<'a> {
    base: &'a str,
    /// URL of the first page.
    home: &'a str,
    style: String,
    icon: String,
    section: &'a str,
    notice: Option<String>,
    version: &'static str,
}

impl<'a> Common<'a> {
    pub(super) fn new(
        base: &'a str,
        assets: &Assets,
        section: &'a str,
        notice: Option<String>,
    ) -> Self {
        Self {
            base,
            home: home(base),
            style: format!("{base}/assets/{}", assets.style()),
            icon: format!("{base}/assets/{}", assets.icon()),
            section,
            notice,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Returns the path of the first page, which is "/" at the root.
fn home(base: &str) -> &str {
    if base.is_empty() { "/" } else { base }
}

pub(super) fn context(page: &Common<'_>, view: &impl Serialize) -> tera::TeraResult<Context> {
    let mut context = Context::from_serialize(view)?;
    context.insert("page", page);
    Ok(context)
}

pub(super) fn render(
    management: &Management,
    status: StatusCode,
    section: &str,
    notice: Option<String>,
    template: &str,
    view: &impl Serialize,
) -> Result<HttpResponse, Failure> {
    let html = html(management, section, notice, template, view)?;
    let mut response = HttpResponse::build(status);
    Ok(response.insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(html))
}

fn html(
    management: &Management,
    section: &str,
    notice: Option<String>,
    template: &str,
    view: &impl Serialize,
) -> Result<String, Failure> {
    let set = management.templates.current();
    let page = Common::new(&management.path, &set.assets, section, notice);
    Ok(set.render(template, &context(&page, view)?)?)
}
