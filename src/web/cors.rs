//! Cross-origin requests (Fetch §3.2, "CORS protocol"): scripts of the origins in
//! `cors.allowed_origins` may call the protocol endpoints.
//!
//! The management page, its API, the page about error codes and the probes do not support CORS. A
//! request from an origin that is not allowed gets the usual response without CORS headers, and the
//! browser withholds it from the script.

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

/// Methods that scripts of an allowed origin may use.
const METHODS: &str = "GET, POST";

/// Request headers that scripts of an allowed origin may always send.
const HEADERS: [&str; 2] = ["authorization", "content-type"];

/// Time in seconds for which browsers may cache the response to a preflight.
const MAX_AGE: &str = "3600";

/// Response headers that scripts of an allowed origin may read, beside the CORS-safelisted ones.
const EXPOSED: &str = "retry-after, www-authenticate, x-auth-user-id, x-auth-username, x-auth-client-id, x-auth-scope";

impl Web {
    /// Returns whether at least one origin may call the OAuth protocol endpoints (CORS).
    pub fn has_allowed_origins(&self) -> bool {
        !self.config.allowed_origins.is_empty()
    }

    /// Returns `Access-Control-Allow-Origin` for a request, or `None` if its origin is not allowed.
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let is_allowed =
            |allowed: &&String| *allowed == "*" || allowed.as_bytes() == origin.as_bytes();
        let allowed = self.config.allowed_origins.iter().find(is_allowed)?;
        HeaderValue::from_str(allowed).ok()
    }

    /// Returns the response to a CORS preflight, with CORS headers if the origin is `allowed`.
    /// Without them, the browser treats the origin as not allowed; no error status is needed.
    fn preflight(&self, allowed: bool) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::NO_CONTENT);
        response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
        if allowed {
            let more = self.config.allowed_headers.iter().map(String::as_str);
            let headers: Vec<&str> = HEADERS.into_iter().chain(more).collect();
            response.insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS));
            response.insert_header((ACCESS_CONTROL_ALLOW_HEADERS, headers.join(", ")));
            response.insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE));
        }
        response.finish()
    }

    /// Returns whether `path` is that of an OAuth protocol endpoint: token, introspection,
    /// revocation, verify or server metadata.
    fn is_protocol(&self, path: &str) -> bool {
        let routes = &self.config.routes;
        let fixed = [&routes.token, &routes.introspection, &routes.revocation, &routes.verify];
        let described = || {
            let (at, issuer) = (routes.metadata.as_ref()?, self.provider.issuer()?);
            metadata::paths(at, issuer).into_iter().find(|described| described == path)
        };
        fixed.into_iter().flatten().any(|route| route == path) || described().is_some()
    }
}

/// Responds to CORS preflight requests to the OAuth protocol endpoints, and adds CORS headers to
/// their other responses. Requests to all other endpoints pass unchanged.
pub async fn handle(
    web: web::Data<Web>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if !web.is_protocol(request.path()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let allowed = web.allowed_origin(request.headers());
    let mut response = if is_preflight(&request) {
        request.into_response(web.preflight(allowed.is_some()))
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

/// Returns whether the request is a CORS preflight. Fetch §3.2.2: "a request that checks to see if
/// the CORS protocol is understood", with `OPTIONS`.
fn is_preflight(request: &ServiceRequest) -> bool {
    let has = |name| request.headers().contains_key(name);
    *request.method() == Method::OPTIONS && has(ORIGIN) && has(ACCESS_CONTROL_REQUEST_METHOD)
}
