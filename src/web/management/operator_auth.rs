//! Authentication check in front of the page and the API: requires the operator's credentials by
//! HTTP Basic (RFC 7617).

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, web};
use secrecy::ExposeSecret;

use super::csrf;
use super::operator_check_error::OperatorCheckError;
use super::page::error_page;
use super::state::Management;
use crate::observe::actor::{Actor, Interface};
use crate::observe::audit::{TARGET, format_address};
use crate::observe::log::ANY_CALLER;
use crate::rate_limit::CredentialKind;
use crate::web::{Web, authorization, client_address};

/// Content security policy of the management page: no scripts, styles and images from this origin
/// only, and forms that post to this origin only.
const CONTENT_SECURITY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
                                form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Security headers of every response of the management page and API. The referrer policy is
/// `same-origin` because with `no-referrer` browsers send `Origin: null` when they post a form of
/// the management page (Fetch, "append a request `Origin` header").
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Passes on requests with the operator's credentials to the management page and API. All other
/// requests are refused, whether the path exists or not.
pub(super) async fn guard(
    web: web::Data<Web>,
    management: web::Data<Management>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut response = match admit(&web, &management, request.request()).await {
        Ok(()) => {
            let actor = actor(&web, &management, request.request());
            let response = actor.scope(next.call(request)).await?;
            error_page::explain(&management, response.map_into_boxed_body())
        }
        Err(refusal) => {
            let response = refusal.respond(&management, request.request());
            request.into_response(response)
        }
    };
    protect(response.headers_mut());
    Ok(response)
}

async fn admit(
    web: &Web,
    management: &Management,
    request: &HttpRequest,
) -> Result<(), OperatorCheckError> {
    // This check comes first: another site must not make a browser ask for a password or send a
    // wrong one.
    csrf::check(request, web.provider.issuer(), &web.config.trusted_proxies)?;
    authenticate(web, management, request).await
}

/// Returns an error unless the request has the operator's credentials; guesses are rate limited.
async fn authenticate(
    web: &Web,
    management: &Management,
    request: &HttpRequest,
) -> Result<(), OperatorCheckError> {
    let trusted = &web.config.trusted_proxies;
    client_address::warn_if_ignored(request, trusted, &web.has_warned_of_proxy);
    let address = client_address::of(request, trusted);
    // A request without credentials, which every browser sends first, is not a guess.
    let basic = authorization::basic(request).ok_or(OperatorCheckError::NotTheOperator)?;
    let limiter = &management.rate_limiter;
    let attempt = limiter.admit(CredentialKind::Operator, address, &basic.user).await?;
    if management.operator().is(&basic.user, &basic.password) {
        attempt.succeeded();
        return Ok(());
    }
    tracing::warn!(
        name: ANY_CALLER, target: TARGET, event = "management_authentication", outcome = "failed",
        via = via(management, request).as_str(), address = format_address(address),
    );
    // Any other name is not logged, since it may be a password typed into the wrong field.
    let known = Some(management.operator().name()).filter(|name| *name == basic.user);
    attempt.failed(known, Some(basic.password.expose_secret())).await?;
    Err(OperatorCheckError::NotTheOperator)
}

/// Returns the operator who sent the request (page or API, name, IP address), for the audit log.
fn actor(web: &Web, management: &Management, request: &HttpRequest) -> Actor {
    let address = client_address::of(request, &web.config.trusted_proxies);
    Actor {
        via: via(management, request),
        operator: Some(management.operator().name().to_owned()),
        address: Some(format_address(address)),
    }
}

fn via(management: &Management, request: &HttpRequest) -> Interface {
    if management.is_api(request.path()) { Interface::Api } else { Interface::Page }
}

/// Adds the security headers to a response, and `Cache-Control: no-store` if the response has no
/// `Cache-Control`.
fn protect(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        // A page with an inline style has a stricter policy of its own.
        if name != CONTENT_SECURITY_POLICY || !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
