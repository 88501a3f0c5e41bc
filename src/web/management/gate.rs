//! The gate in front of the page and the API: the operator passes, by HTTP Basic (RFC 7617).

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, web};

use super::refusal::Refusal;
use super::{Management, cross_site, page};
use crate::oauth::Guessed;
use crate::observe::actor::{Actor, Via};
use crate::observe::audit::shown;
use crate::web::{Web, authorization, client_address};

/// No script at all, styles and pictures of ours, and forms that come back to us.
const CONTENT_SECURITY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
                                form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// On every answer. `same-origin` and not `no-referrer`: under that, browsers send `Origin: null` with
/// our own forms (Fetch, "append a request `Origin` header").
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Lets the operator through; everybody else gets the same answer on every path.
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
            page::explain(&management, response.map_into_boxed_body())
        }
        Err(refusal) => {
            let response = refusal.answer(&management, request.request());
            request.into_response(response)
        }
    };
    protect(response.headers_mut());
    Ok(response)
}

async fn admit(web: &Web, management: &Management, request: &HttpRequest) -> Result<(), Refusal> {
    // First of all: another site must not make a browser ask for a password, or fail at one.
    cross_site::check(request, web.provider.issuer(), &web.policy.trusted_proxies)?;
    authenticate(web, management, request).await
}

/// Whether this is the operator.
async fn authenticate(
    web: &Web,
    management: &Management,
    request: &HttpRequest,
) -> Result<(), Refusal> {
    let address = client_address::of(request, &web.policy.trusted_proxies);
    // Who sends no credentials, as every browser does at first, has not guessed.
    let basic = authorization::basic(request).ok_or(Refusal::NotTheOperator)?;
    let throttle = web.provider.throttle();
    let attempt = throttle.admit(Guessed::Operator, address, &basic.user).await?;
    if management.operator.is(&basic.user, &basic.password) {
        attempt.succeeded().await;
        return Ok(());
    }
    tracing::warn!(
        target: "audit", event = "management_authentication", outcome = "failed",
        via = via(management, request).as_str(), address = shown(address),
    );
    // What was typed as a name may be the password.
    attempt.failed(None).await?;
    Err(Refusal::NotTheOperator)
}

/// The operator, who has authenticated, as the audit log calls them.
fn actor(web: &Web, management: &Management, request: &HttpRequest) -> Actor {
    let address = client_address::of(request, &web.policy.trusted_proxies);
    Actor {
        via: via(management, request),
        operator: Some(management.operator.name.clone()),
        address: Some(shown(address)),
    }
}

fn via(management: &Management, request: &HttpRequest) -> Via {
    if management.is_api(request.path()) { Via::Api } else { Via::Page }
}

/// What every answer says to the browser, beside what it says of itself.
fn protect(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
