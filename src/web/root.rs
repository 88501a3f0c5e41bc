//! Landing page, `GET /`: says which server this is, and links to its documents.

use std::net::IpAddr;

use actix_web::http::Uri;
use actix_web::http::header::HOST;
use actix_web::{HttpRequest, HttpResponse, web};
use tera::Context;

use super::landing_page::{LandingView, TEMPLATE};
use super::{Web, client_address, public_page};

/// Headers that proxies add to a request that they forward.
const FORWARDING_HEADERS: [&str; 3] = ["forwarded", "via", "x-forwarded-for"];

/// Responds to a request for the root path.
pub(super) async fn handle(web: web::Data<Web>, request: HttpRequest) -> HttpResponse {
    let relative = |path: &str| format!(".{path}");
    let is_local = is_local(&web, &request);
    let management = web.management.as_ref().filter(|_| is_local);
    let set = web.templates.current();
    let view = LandingView {
        style: set.public_style.clone(),
        errors: web.config.routes.errors.as_deref().map(relative),
        metadata: web.metadata_paths().first().map(|path| relative(path)),
        management: management.map(|management| relative(management.path())),
        version: is_local.then_some(env!("CARGO_PKG_VERSION")),
    };
    let page = Context::from_serialize(&view).and_then(|context| set.render(TEMPLATE, &context));
    match page {
        Ok(html) => public_page::respond(html, &public_page::content_security_policy(&view.style)),
        Err(error) => {
            tracing::error!("the landing page could not be rendered: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Returns whether the request comes from this machine to a server that is not for others. Behind a
/// proxy that is not configured, all requests seem to come from this machine.
fn is_local(web: &Web, request: &HttpRequest) -> bool {
    let is_local_host = |host: &str| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    let issuer = web.provider.issuer().and_then(|issuer| issuer.parse::<Uri>().ok());
    let is_for_others = issuer.is_some_and(|issuer| !issuer.host().is_some_and(is_local_host));
    let is_forwarded = FORWARDING_HEADERS.iter().any(|name| request.headers().contains_key(*name));
    let client = client_address::of(request, &web.config.trusted_proxies);
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().host().or_else(|| host.map(without_port));
    !is_for_others
        && !is_forwarded
        && host.is_some_and(is_local_host)
        && client.is_some_and(|address| address.is_loopback())
}

/// Returns the host in the value of the header `Host`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
