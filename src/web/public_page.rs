//! Responses with an HTML page for everyone, which has one inline style and no script.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::domain::Digest;

/// Returns the Content-Security-Policy of a page with the inline style `style`. It allows the style
/// by its digest; nothing else is loaded or executed.
pub(super) fn content_security_policy(style: &str) -> String {
    let digest = BASE64_STANDARD.encode(Digest::of(style.as_bytes()).as_bytes());
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// Returns the response with the page `html` and its Content-Security-Policy.
pub(super) fn respond(html: String, content_security_policy: &str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, content_security_policy))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(html)
}
