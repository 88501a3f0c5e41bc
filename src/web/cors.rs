//! Cross-origin calls (Fetch §3.2, "CORS protocol"): scripts on pages of the origins in
//! `cors.allowed_origins` may get tokens, and ask for their own.
//!
//! Only the endpoints of the protocol take part: the management page, its API and the probes never do. Who
//! is not allowed is answered like everybody, without the headers that a browser wants to see; it is the
//! browser that refuses then.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    CACHE_CONTROL, HeaderMap, HeaderValue, ORIGIN, PRAGMA, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

use super::{Web, metadata};

/// What an allowed script may send, for as many seconds as it need not ask again.
const GRANTED: [(actix_web::http::header::HeaderName, &str); 3] = [
    (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
    (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
    (ACCESS_CONTROL_MAX_AGE, "3600"),
];

/// What of an answer's head a script may read, beside what every script may.
const EXPOSED: &str = "retry-after, www-authenticate, x-auth-user-id, x-auth-username, x-auth-client-id, x-auth-scope";

impl Web {
    /// Whether scripts of any other origin may call.
    pub fn has_allowed_origins(&self) -> bool {
        !self.policy.allowed_origins.is_empty()
    }

    /// What an answer has to say to the origin that asks, if it may.
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let is_allowed =
            |allowed: &&String| *allowed == "*" || allowed.as_bytes() == origin.as_bytes();
        let allowed = self.policy.allowed_origins.iter().find(is_allowed)?;
        HeaderValue::from_str(allowed).ok()
    }

    /// Whether an endpoint of the protocol is at this path.
    fn is_protocol(&self, path: &str) -> bool {
        let routes = &self.policy.routes;
        let fixed = [&routes.token, &routes.introspection, &routes.revocation, &routes.verify];
        let described = || {
            let (at, issuer) = (routes.metadata.as_ref()?, self.provider.issuer()?);
            metadata::paths(at, issuer).into_iter().find(|described| described == path)
        };
        fixed.into_iter().flatten().any(|route| route == path) || described().is_some()
    }
}

/// Answers a preflight, and says in other answers who may read them.
pub async fn answer(
    web: web::Data<Web>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if !web.is_protocol(request.path()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let allowed = web.allowed_origin(request.headers());
    let mut response = if is_preflight(&request) {
        request.into_response(preflight(allowed.is_some()))
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    Ok(response)
}

/// Fetch §3.2.2: "a request that checks to see if the CORS protocol is understood", with `OPTIONS`.
fn is_preflight(request: &ServiceRequest) -> bool {
    let has = |name| request.headers().contains_key(name);
    *request.method() == Method::OPTIONS && has(ORIGIN) && has(ACCESS_CONTROL_REQUEST_METHOD)
}

/// No refusal for who is not allowed: the absence of the headers is one.
fn preflight(allowed: bool) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::NO_CONTENT);
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
    for header in GRANTED.into_iter().filter(|_| allowed) {
        response.insert_header(header);
    }
    response.finish()
}
