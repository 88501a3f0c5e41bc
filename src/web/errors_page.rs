//! Page that explains each error code, `GET /oauth/errors`. `error_uri` (RFC 6749 §5.2) is its URL.

use actix_web::HttpResponse;
use serde::Serialize;
use tera::{Context, Tera};

use super::public_page;
use crate::oauth::ErrorCode;

const TEMPLATE: &str = "errors.html";

/// HTML page that explains each OAuth error code, rendered when the templates are loaded.
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
            ErrorCode::ALL.into_iter().map(explain).chain(bearer_entries()).collect();
        let mut context = Context::new();
        context.insert("entries", &entries);
        context.insert("style", style);
        Ok(Self {
            html: tera.render(TEMPLATE, &context)?,
            content_security_policy: public_page::content_security_policy(style),
        })
    }

    pub(super) fn respond(&self) -> HttpResponse {
        public_page::respond(self.html.clone(), &self.content_security_policy)
    }
}

fn explain(code: ErrorCode) -> Entry {
    let (status, meaning, remedy, source) = match code {
        ErrorCode::InvalidRequest => (
            "400, 404, 405, 408, 413, 431 or 501",
            "The request is invalid: a parameter is missing, repeated or malformed, the body is too \
             large or of the wrong type, or the method is wrong.",
            "Send a POST with a body of type application/x-www-form-urlencoded. error_description has \
             the reason.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::InvalidClient => (
            "401",
            "The client is unknown or disabled, its secret is wrong or missing, or its authentication \
             method is not supported.",
            "Check client_id and client_secret. A public client sends client_id alone, in the body.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::InvalidGrant => (
            "400",
            "The user name or the password is wrong, or the user is disabled; or the token has \
             expired, was revoked or used before, or belongs to another client.",
            "Ask the user to log in again. A refresh token can be used once: keep the new one from \
             each response.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::UnauthorizedClient => (
            "400 or 403",
            "The client may not use this grant type, or may not introspect tokens.",
            "Ask the operator for the grant or the introspection permission.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::UnsupportedGrantType => (
            "400",
            "The grant type does not exist, or is switched off on this server.",
            "Use password, refresh_token or client_credentials.",
            "RFC 6749 §5.2",
        ),
        ErrorCode::InvalidScope => (
            "400",
            "The scope is malformed, or more than this client or this user may be granted.",
            "Request less, or leave the parameter out to get the default scope. A refresh cannot \
             request more than the login was granted.",
            "RFC 6749 §3.3, §5.2",
        ),
        ErrorCode::TemporarilyUnavailable => (
            "429 or 503",
            "503: the store is unavailable or the server is overloaded; no refresh token was used up. \
             429: there were too many attempts with wrong passwords or secrets from this address \
             or for this user, and this attempt was not checked.",
            "Try again after the number of seconds in Retry-After.",
            "RFC 6749 §4.1.2.1, RFC 6585 §4",
        ),
    };
    Entry { code: code.as_str(), status, meaning, remedy, source }
}

/// Returns the error code page's entries for codes that resource servers send (RFC 6750 §3.1).
fn bearer_entries() -> [Entry; 2] {
    [
        Entry {
            code: "invalid_token",
            status: "401",
            meaning: "The access token is invalid, has expired or was revoked.",
            remedy: "Refresh it, or log in again.",
            source: "RFC 6750 §3.1",
        },
        Entry {
            code: "insufficient_scope",
            status: "403",
            meaning: "The access token is valid, but lacks the scope for this request.",
            remedy: "Log in again and request the required scope.",
            source: "RFC 6750 §3.1",
        },
    ]
}
