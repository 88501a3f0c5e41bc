//! HTTP layer: parses requests, calls the provider and writes responses.
//!
//! [`Web::configure`] registers every route. Each endpoint has a file of its own; [`error`] turns
//! failures into JSON responses. Not here: the OAuth 2.0 protocol (`oauth`), sockets and their
//! lifetime (`app`).

mod authorization;
pub mod certificate;
mod certificate_dates;
pub mod client_address;
pub mod cors;
mod error;
mod errors_page;
mod form;
mod health;
mod introspection;
pub mod management;
mod metadata;
pub mod metrics;
pub mod reload;
pub mod request_observer;
mod revocation;
pub mod self_signed;
pub mod templates;
pub mod tls;
mod token;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, guard};
use ipnet::IpNet;

use crate::oauth::{Endpoints, Provider};
pub use error::bad_request;
use management::Management;
use request_observer::Telemetry;
use templates::Templates;

/// Paths of the endpoints. `None` switches an endpoint off.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Path of the token endpoint (RFC 6749 §3.2).
    pub token: Option<String>,
    /// Path of the introspection endpoint (RFC 7662 §2).
    pub introspection: Option<String>,
    /// Path of the revocation endpoint (RFC 7009 §2).
    pub revocation: Option<String>,
    /// Path of the verify endpoint, for `auth_request` of nginx.
    pub verify: Option<String>,
    /// Path of the authorization server metadata (RFC 8414 §3).
    pub metadata: Option<String>,
    /// Path of the page that explains error codes.
    pub errors: Option<String>,
}

/// Returns a route for GET and HEAD. RFC 9110 §9.1: "All general-purpose servers MUST support the
/// methods GET and HEAD."
fn get_or_head() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Settings of the HTTP handlers.
#[derive(Clone, Debug)]
pub struct WebPolicy {
    /// Paths of the endpoints.
    pub routes: Routes,
    /// `error_uri` of error responses (RFC 6749 §5.2). `None` leaves it out.
    pub error_uri: Option<String>,
    /// Maximum size of a request body, in bytes. Forms of the management page have a limit of their
    /// own.
    pub max_body: usize,
    /// Maximum time for a request body to arrive.
    pub body_timeout: Duration,
    /// Origins whose scripts may call the protocol endpoints (CORS); `*` allows every origin.
    pub allowed_origins: Vec<String>,
    /// Networks of the proxies whose `X-Forwarded-For`, `X-Forwarded-Host` and `X-Request-Id`
    /// count.
    pub trusted_proxies: Vec<IpNet>,
    /// Networks of the callers whose `traceparent` decides that a call is traced.
    pub tracing_callers: Vec<IpNet>,
    /// Whether the token endpoint returns 401 for the errors for which flask-sentinel did.
    pub flask_sentinel_status: bool,
}

/// Transport of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP without TLS.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// Unix domain socket.
    Unix,
}

impl Transport {
    /// Returns the transport of the listener that received `request`.
    fn of(request: &HttpRequest) -> Self {
        request.app_data().copied().unwrap_or(Self::Tcp)
    }
}

/// HTTP interface of a [`Provider`]. Clones share all state.
#[derive(Clone)]
pub struct Web {
    provider: Arc<Provider>,
    policy: Arc<WebPolicy>,
    templates: Arc<Templates>,
    management: Option<Arc<Management>>,
    telemetry: Telemetry,
}

impl Web {
    /// Creates the HTTP interface of `provider`, with the management page and API if `management`
    /// is given.
    pub fn new(
        provider: Provider,
        management: Option<Management>,
        templates: Arc<Templates>,
        policy: WebPolicy,
    ) -> Self {
        Self {
            provider: Arc::new(provider),
            policy: Arc::new(policy),
            templates,
            management: management.map(Arc::new),
            telemetry: Telemetry::default(),
        }
    }

    /// Sets the receivers of metrics and traces.
    #[must_use]
    pub fn observed_by(self, telemetry: Telemetry) -> Self {
        Self { telemetry, ..self }
    }

    /// Registers every route for a listener that uses `transport`.
    pub fn configure(&self, config: &mut ServiceConfig, transport: Transport) {
        let routes = &self.policy.routes;
        let mut post = |path: &Option<String>, route: actix_web::Route| {
            if let Some(path) = path {
                let other = web::to(error::only_post);
                config.service(web::resource(path.as_str()).route(route).default_service(other));
            }
        };
        post(&routes.token, web::post().to(token::handle));
        post(&routes.introspection, web::post().to(introspection::handle));
        post(&routes.revocation, web::post().to(revocation::handle));

        let mut get = |path: &str, route: actix_web::Route| {
            let other = web::to(error::only_get);
            config.service(web::resource(path).route(route).default_service(other));
        };
        if let Some(path) = &routes.verify {
            get(path, get_or_head().to(verify::handle));
        }
        for path in self.metadata_paths() {
            get(&path, get_or_head().to(metadata::handle));
        }
        if let Some(path) = &routes.errors {
            get(path, get_or_head().to(errors_page::handle));
        }
        get("/healthz", get_or_head().to(health::alive));
        get("/readyz", get_or_head().to(health::ready));

        if let Some(management) = &self.management {
            config.app_data(web::Data::from(Arc::clone(management)));
            management.configure(config);
        }
        config.app_data(web::Data::new(self.clone()));
        config.app_data(transport);
        config.default_service(web::to(error::not_found));
    }

    /// Returns the paths of the metadata document; none without an issuer. The issuer's path comes
    /// after the well-known path (RFC 8414 §3), but many clients look for the document at the
    /// well-known path alone.
    fn metadata_paths(&self) -> Vec<String> {
        match (&self.policy.routes.metadata, self.provider.issuer()) {
            (Some(path), Some(issuer)) => metadata::paths(path, issuer),
            _ => Vec::new(),
        }
    }

    /// Returns the absolute URLs of the endpoints, which begin with the issuer.
    fn endpoints(&self) -> Endpoints {
        let base = self.provider.issuer().unwrap_or_default();
        let url = |path: &Option<String>| path.as_ref().map(|path| format!("{base}{path}"));
        let routes = &self.policy.routes;
        Endpoints {
            token: url(&routes.token),
            introspection: url(&routes.introspection),
            revocation: url(&routes.revocation),
        }
    }
}
