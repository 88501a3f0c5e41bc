//! Settings and state of the HTTP handlers.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::HttpRequest;
use ipnet::IpNet;

use super::management::state::Management;
use super::request_observer::Telemetry;
use super::templates::Templates;
use super::verify::QueryWarnings;
use crate::oauth::{Endpoints, Provider};

/// URL paths of the HTTP endpoints. `None` switches an endpoint off.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// URL path of the token endpoint (RFC 6749 §3.2); `None` if the endpoint is off.
    pub token: Option<String>,
    /// URL path of the introspection endpoint (RFC 7662 §2); `None` if the endpoint is off.
    pub introspection: Option<String>,
    /// URL path of the revocation endpoint (RFC 7009 §2); `None` if the endpoint is off.
    pub revocation: Option<String>,
    /// URL path of the verify endpoint, for proxies; `None` if the endpoint is off.
    pub verify: Option<String>,
    /// URL path of the authorization server metadata (RFC 8414 §3); `None` if the endpoint is off.
    pub metadata: Option<String>,
    /// URL path of the page that explains OAuth error codes; `None` if the page is off.
    pub errors: Option<String>,
}

/// Settings of the HTTP handlers of all endpoints.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// URL paths of the HTTP endpoints.
    pub routes: Routes,
    /// URL that error responses have as `error_uri` (RFC 6749 §5.2). `None` leaves the member out.
    pub error_uri: Option<String>,
    /// Maximum size of a request body, in bytes. Forms of the management page have a limit of their
    /// own.
    pub max_body: usize,
    /// Maximum time for a request body to arrive.
    pub body_timeout: Duration,
    /// Origins whose scripts may call the OAuth protocol endpoints (CORS); `*` allows all.
    pub allowed_origins: Vec<String>,
    /// Names of request headers that these scripts may send beside `Authorization` and
    /// `Content-Type` (CORS).
    pub allowed_headers: Vec<String>,
    /// Networks of the proxies from which the server accepts `X-Forwarded-For`, `X-Forwarded-Host`
    /// and `X-Request-Id`.
    pub trusted_proxies: Vec<IpNet>,
    /// Networks of the clients that may demand with `traceparent` that their requests are traced.
    pub tracing_callers: Vec<IpNet>,
    /// Whether the token endpoint returns 401, as flask-sentinel (the predecessor of this server)
    /// did, for some errors for which RFC 6749 §5.2 requires 400.
    pub flask_sentinel_status: bool,
}

/// Transport over which a listener receives requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP without TLS.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// Unix domain socket.
    Unix,
}

impl Routes {
    /// Returns the prefix of the URL paths below the verify endpoint, which are the verify endpoint
    /// too; `None` if the endpoint is off.
    pub(super) fn below_verify(&self) -> Option<String> {
        self.verify.as_ref().map(|path| format!("{}/", path.trim_end_matches('/')))
    }
}

impl Transport {
    /// Returns the transport of the listener that received `request`.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.app_data().copied().unwrap_or(Self::Tcp)
    }
}

/// HTTP interface of an OAuth 2.0 [`Provider`]: the state of all handlers. Clones share all state.
#[derive(Clone)]
pub struct Web {
    pub(super) provider: Arc<Provider>,
    pub(super) config: Arc<WebConfig>,
    pub(super) templates: Arc<Templates>,
    pub(super) management: Option<Arc<Management>>,
    pub(super) telemetry: Telemetry,
    pub(super) verify_warnings: Arc<QueryWarnings>,
    /// Whether the warning about an ignored `X-Forwarded-For` has been logged.
    pub(super) has_warned_of_proxy: Arc<AtomicBool>,
}

impl Web {
    /// Creates the HTTP interface of `provider`, with the management page and API if `management`
    /// is given.
    pub fn new(
        provider: Provider,
        management: Option<Management>,
        templates: Arc<Templates>,
        config: WebConfig,
    ) -> Self {
        Self {
            provider: Arc::new(provider),
            config: Arc::new(config),
            templates,
            management: management.map(Arc::new),
            telemetry: Telemetry::default(),
            verify_warnings: Arc::default(),
            has_warned_of_proxy: Arc::default(),
        }
    }

    /// Returns this HTTP interface with `telemetry` as the receivers of its metrics and traces.
    #[must_use]
    pub fn observed_by(self, telemetry: Telemetry) -> Self {
        Self { telemetry, ..self }
    }

    /// Returns the absolute URLs of the token, introspection and revocation endpoints, which begin
    /// with the issuer.
    pub(super) fn endpoints(&self) -> Endpoints {
        let base = self.provider.issuer().unwrap_or_default();
        let url = |path: &Option<String>| path.as_ref().map(|path| format!("{base}{path}"));
        let routes = &self.config.routes;
        Endpoints {
            token: url(&routes.token),
            introspection: url(&routes.introspection),
            revocation: url(&routes.revocation),
        }
    }
}
