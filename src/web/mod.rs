//! HTTP: takes requests apart, calls the provider, writes answers.
//!
//! [`Web::configure`] lists every route. One file per endpoint; what goes wrong becomes JSON in
//! [`error`]. Not here: what the protocol says (`oauth`), sockets and their life (`app`).

mod authorization;
pub mod certificate;
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
pub mod observed;
pub mod reload;
mod revocation;
pub mod self_signed;
pub mod templates;
pub mod tls;
mod token;
mod validity;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, guard};
use ipnet::IpNet;

use crate::oauth::{Endpoints, Provider};
pub use error::bad_request;
use management::Management;
use observed::Observers;
use templates::Templates;

/// The paths of the endpoints; `None` where one is switched off.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// RFC 6749 §3.2.
    pub token: Option<String>,
    /// RFC 7662 §2.
    pub introspection: Option<String>,
    /// RFC 7009 §2.
    pub revocation: Option<String>,
    /// For `auth_request`.
    pub verify: Option<String>,
    /// RFC 8414 §3.
    pub metadata: Option<String>,
    /// The page that explains error codes.
    pub errors: Option<String>,
}

/// RFC 9110 §9.1: "All general-purpose servers MUST support the methods GET and HEAD."
fn get_or_head() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// What the handlers need beside the provider.
#[derive(Clone, Debug)]
pub struct WebPolicy {
    /// The paths that are served.
    pub routes: Routes,
    /// The `error_uri` of error answers (RFC 6749 §5.2).
    pub error_uri: Option<String>,
    /// The largest body that is read, in bytes.
    pub max_body: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// The origins whose scripts may call; "*" for any.
    pub allowed_origins: Vec<String>,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The callers whose calls are traced because they say so.
    pub tracing_callers: Vec<IpNet>,
    /// Answer 401 where flask-sentinel did.
    pub flask_sentinel_status: bool,
}

/// What requests come over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP as it is.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// A Unix socket.
    Unix,
}

impl Transport {
    /// What a request came over.
    fn of(request: &HttpRequest) -> Self {
        request.app_data().copied().unwrap_or(Self::Tcp)
    }
}

/// The HTTP face of a provider. Clones share everything.
#[derive(Clone)]
pub struct Web {
    provider: Arc<Provider>,
    policy: Arc<WebPolicy>,
    templates: Arc<Templates>,
    management: Option<Arc<Management>>,
    observers: Observers,
}

impl Web {
    /// A web face for `provider`, with the management page if there is an operator.
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
            observers: Observers::default(),
        }
    }

    /// The same, seen by these.
    #[must_use]
    pub fn observed_by(self, observers: Observers) -> Self {
        Self { observers, ..self }
    }

    /// Every route, on one screen, for requests that come over `transport`.
    pub fn configure(&self, config: &mut ServiceConfig, transport: Transport) {
        let routes = &self.policy.routes;
        let mut post = |path: &Option<String>, route: actix_web::Route| {
            if let Some(path) = path {
                let other = web::to(error::only_post);
                config.service(web::resource(path.as_str()).route(route).default_service(other));
            }
        };
        post(&routes.token, web::post().to(token::answer));
        post(&routes.introspection, web::post().to(introspection::answer));
        post(&routes.revocation, web::post().to(revocation::answer));

        let mut get = |path: &str, route: actix_web::Route| {
            let other = web::to(error::only_get);
            config.service(web::resource(path).route(route).default_service(other));
        };
        if let Some(path) = &routes.verify {
            get(path, get_or_head().to(verify::answer));
        }
        for path in self.metadata_paths() {
            get(&path, get_or_head().to(metadata::answer));
        }
        if let Some(path) = &routes.errors {
            get(path, get_or_head().to(errors_page::answer));
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

    /// RFC 8414 §3: the path of the issuer comes behind the well-known one; many clients look for it
    /// without.
    fn metadata_paths(&self) -> Vec<String> {
        match (&self.policy.routes.metadata, self.provider.issuer()) {
            (Some(path), Some(issuer)) => metadata::paths(path, issuer),
            _ => Vec::new(),
        }
    }

    /// The absolute URLs of the endpoints, under the issuer.
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
