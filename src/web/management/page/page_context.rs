//! Per-request context for the page handlers: store, templates and query.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Serialize;

use super::page_error::{PageError, PageResult};
use super::posted_form::PostedFields;
use super::urls::relative;
use super::{flash_messages, layout};
use crate::admin::Admin;
use crate::domain::{Grant, Lifetimes, PasswordHash, Timestamp};
use crate::observe::activity::HourlyActivity;
use crate::password::PoolError;
use crate::store::Page;
use crate::web::Transport;
use crate::web::management::state::Management;
use crate::web::request_host::hosts;
use crate::web::state::{Routes, Web};
use crate::web::templates::Set;

/// Maximum number of entries on one page of a list of users, clients or sessions.
const PAGE: u32 = 50;

/// Context of one request to the management page: server state, management state and query.
pub(super) struct PageContext {
    web: web::Data<Web>,
    management: web::Data<Management>,
    base: String,
    /// Scheme and host of the request's URL, such as `https://localhost:5000`.
    host: String,
    pub(super) query: PostedFields,
}

impl FromRequest for PageContext {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let web = request.app_data::<web::Data<Web>>();
        let management = request.app_data::<web::Data<Management>>();
        let context = web.zip(management).map(|(web, management)| Self {
            web: web.clone(),
            management: management.clone(),
            base: relative(management.path(), request.path()),
            host: host(request, &web.config.trusted_proxies),
            query: PostedFields::parse(request.query_string().as_bytes()),
        });
        ready(context.ok_or(PageError::NoSuchPage))
    }
}

impl PageContext {
    pub(super) fn admin(&self) -> &Admin {
        &self.management.admin
    }

    pub(super) fn now(&self) -> Timestamp {
        self.management.admin.now()
    }

    pub(super) fn activity(&self) -> &HourlyActivity {
        self.web.provider.activity()
    }

    pub(super) fn templates(&self) -> Arc<Set> {
        self.management.templates.current()
    }

    /// Returns the relative URL of the management page's first page, with which links to the other
    /// pages begin. It has no trailing slash.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Returns the minimum number of characters of a new password of a user.
    pub(super) fn shortest_password(&self) -> usize {
        self.management.shortest_password()
    }

    /// Returns the server's default lifetimes, for clients that have none of their own.
    pub(super) fn server_lifetimes(&self) -> &Lifetimes {
        self.web.provider.lifetimes()
    }

    /// Returns whether the server has a public URL.
    pub(super) fn has_public_url(&self) -> bool {
        self.web.provider.issuer().is_some()
    }

    /// Returns the beginning of the endpoints' URLs: the server's public URL, or else the scheme
    /// and host of the request.
    pub(super) fn origin(&self) -> &str {
        self.web.provider.issuer().unwrap_or(&self.host)
    }

    /// Returns the URL paths of the endpoints.
    pub(super) fn routes(&self) -> &Routes {
        &self.web.config.routes
    }

    /// Returns whether the server supports this grant type.
    pub(super) fn supports(&self, grant: Grant) -> bool {
        self.web.provider.supports(grant)
    }

    pub(super) async fn hash(&self, password: &str) -> Result<PasswordHash, PoolError> {
        self.management.passwords.hash(SecretString::from(password)).await
    }

    /// Returns a page: `template` with `view` and the confirmation message that the query names.
    pub(super) fn show(&self, section: &str, template: &str, view: &impl Serialize) -> PageResult {
        let notice = flash_messages::of(&self.query);
        let html = layout::html(&self.management, self.base(), section, notice, template, view)?;
        Ok(layout::response(StatusCode::OK, html))
    }

    /// Returns the page that shows a form with errors: status 422 (RFC 9110 §15.5.21) if the form
    /// is invalid, 409 (§15.5.10) if the user or client was changed after the form was opened.
    pub(super) fn show_again(
        &self,
        status: StatusCode,
        section: &str,
        template: &str,
        view: &impl Serialize,
    ) -> PageResult {
        Ok(layout::response(status, self.html(section, template, view)?))
    }

    /// Renders `template` with `view` but no confirmation message, and returns the HTML.
    pub(super) fn html(
        &self,
        section: &str,
        template: &str,
        view: &impl Serialize,
    ) -> tera::TeraResult<String> {
        layout::html(&self.management, self.base(), section, None, template, view)
    }

    /// Redirects the browser to a path below the management page with 303 (RFC 9110 §15.4.4), so
    /// that a reload does not repeat the operation.
    pub(super) fn see_other(&self, path: &str) -> HttpResponse {
        let location = format!("{}{path}", self.base());
        HttpResponse::SeeOther().insert_header((LOCATION, location)).finish()
    }

    /// Returns the part of a list that the query asks for: the entries after the cursor `after`
    /// (key of the last entry of the preceding page), or else the first entries of the list.
    pub(super) fn page(&self) -> Page {
        let after = self.query.get("after");
        Page { cursor: Some(after.to_owned()).filter(|after| !after.is_empty()), limit: PAGE }
    }
}

/// Returns the scheme and host to which the browser sent the request. Behind a proxy, they are
/// right if the proxy passes on the host and uses the same scheme.
fn host(request: &HttpRequest, trusted: &[IpNet]) -> String {
    let scheme = if Transport::of(request) == Transport::Tls { "https" } else { "http" };
    let is_plain = |host: &&str| {
        let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || b".-_:[]".contains(&octet);
        !host.is_empty() && host.bytes().all(is_allowed)
    };
    let host = hosts(request, trusted).filter(is_plain).last();
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}
