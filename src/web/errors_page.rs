//! Page that explains each error code, `GET /oauth/errors`. `error_uri` (RFC 6749 §5.2) is its URL.

use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, web};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use tera::{Context, Tera};

use super::Web;
use crate::domain::Digest;
use crate::oauth::ErrorCode;

const TEMPLATE: &str = "errors.html";

/// Page that explains each error code, rendered when the templates are loaded.
#[derive(Clone, Debug)]
pub(super) struct ErrorsPage {
    html: String,
    content_security_policy: String,
}

#[derive(Serialize)]
struct Entry {
    code: &'static str,
    status: &'static str,
    meaning: &'static str,
    remedy: &'static str,
    source: &'static str,
}

impl ErrorsPage {
    pub(super) fn render(tera: &Tera, style: &str) -> tera::TeraResult<Self> {
        let entries: Vec<Entry> =
            ErrorCode::ALL.into_iter().map(explain).chain(of_bearers()).collect();
        let mut context = Context::new();
        context.insert("entries", &entries);
        context.insert("style", style);
        let digest = BASE64_STANDARD.encode(Digest::of(style.as_bytes()).as_bytes());
        Ok(Self {
            html: tera.render(TEMPLATE, &context)?,
            // Allows the one inline style by its digest; nothing else is loaded or executed.
            content_security_policy: format!(
                "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'"
            ),
        })
    }
}

pub(super) async fn answer(web: web::Data<Web>) -> HttpResponse {
    let set = web.templates.current();
    let page = &set.errors_page;
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, page.content_security_policy.as_str()))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(page.html.clone())
}

fn explain(code: ErrorCode) -> Entry {
    let (status, meaning, remedy, source) = match code {
        ErrorCode::InvalidRequest => (
            "400, 404, 405, 408, 413, 431 or 501",
            "The request is not one that can be read: a parameter is missing, repeated or malformed, \
             the body is too large or of the wrong type, or the method is wrong.",
            "Send a POST with a body of type application/x-www-form-urlencoded; error_description \
             says what is wrong with this one.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::InvalidClient => (
            "401",
            "The client is unknown or disabled, its secret is wrong or missing, or it used a way of \
             authenticating that is not known here.",
            "Check client_id and client_secret. A public client sends client_id alone, in the body.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::InvalidGrant => (
            "400",
            "The user name or the password is wrong, or the user is disabled; or the token has \
             expired, was revoked or used before, or belongs to another client.",
            "Ask the user to log in again. A refresh token works once: keep the new one that comes \
             with each answer.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::UnauthorizedClient => (
            "400 or 403",
            "The client is known, and may not do this: use this grant type, or introspect tokens.",
            "Have the operator give the client the grant or the introspection permission.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::UnsupportedGrantType => (
            "400",
            "There is no such grant type, or this server has it switched off.",
            "Use password, refresh_token or client_credentials.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::InvalidScope => (
            "400",
            "The scope is malformed, or more than this client or this user may be granted.",
            "Ask for less, or for nothing: without the parameter the default scope is granted. A \
             refresh cannot ask for more than was granted at the login.",
            "RFC 6749 §3.3, §5.2",
        ),
        ErrorCode::TemporarilyUnavailable => (
            "429 or 503",
            "503: the server cannot answer now, since its store does not, or it has too much to do; \
             nothing was used up by the attempt. 429: too many attempts with wrong passwords or \
             secrets have come from this address, or on this user, and this one was not looked at.",
            "Try again after the seconds in Retry-After.",
            "RFC 6749 §4.1.2.1, RFC 6585 §4",
        ),
    };
    Entry { code: code.as_str(), status, meaning, remedy, source }
}

/// Returns the error codes that resource servers send in `WWW-Authenticate`.
fn of_bearers() -> [Entry; 2] {
    [
        Entry {
            code: "invalid_token",
            status: "401",
            meaning: "The access token has expired, was revoked, or is not one.",
            remedy: "Refresh it, or log in again.",
            source: "RFC 6750 §3.1",
        },
        Entry {
            code: "insufficient_scope",
            status: "403",
            meaning: "The access token is good, and may not do this.",
            remedy: "Log in again and ask for the scope that is needed.",
            source: "RFC 6750 §3.1",
        },
    ]
}
