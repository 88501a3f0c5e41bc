//! Composition root: builds a server from the settings.
//!
//! [`Application::build`] opens the stores, loads the certificates and binds the sockets, so that a
//! problem with any of them is reported before the server accepts a request.

mod background;
mod check;
mod core_dumps;
mod file_access;
mod file_limits;
mod http_server;
mod listener;
mod metrics;
mod policy;
mod private_folder;
mod reload;
mod sockets;
mod systemd;
mod traces;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};
use prometheus::IntCounter;

pub use check::{ConfigReport, check};
pub use core_dumps::disable_core_dumps;
pub use file_access::file_access_warnings;
pub use file_limits::raise_open_files;
pub use listener::data_folder;
pub use policy::password_policy;
pub use private_folder::private_folder;
pub use sockets::ListenAddresses;

use crate::admin::Admin;
use crate::domain::Clock;
use crate::oauth::Provider;
use crate::observe::trace::Collector;
use crate::password::{self, PasswordPool};
use crate::rate_limit::RateLimiter;
use crate::settings::Settings;
use crate::store::{Health, OpenMode, StoreError, Stores, connect};
use crate::web::management::{Management, samples};
use crate::web::request_observer::Telemetry;
use crate::web::templates::{TemplateErrors, Templates};
use crate::web::{Web, tls};
use background::BackgroundTasks;
use reload::Reloads;

/// Error that prevents the server from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The TLS certificate or its private key cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The password policy is invalid, or the hashing workers cannot be started.
    #[error(transparent)]
    Passwords(#[from] password::PoolStartError),
    /// The exporter of spans (traces) cannot be created for `traces.endpoint`.
    #[error("traces.endpoint cannot be used: {0}")]
    Traces(String),
    /// A setting requires other settings that are missing. The text names them.
    #[error("{0}")]
    IncompleteSettings(&'static str),
    /// The templates of the server's pages cannot be loaded or rendered.
    #[error("invalid templates (templates.dir):\n{0}")]
    Templates(#[from] TemplateErrors),
    /// The signal handlers cannot be installed.
    #[error("cannot install the signal handlers")]
    Signals(#[source] io::Error),
    /// An inherited socket would accept passwords over plain HTTP from other machines (RFC 6749
    /// §3.2).
    #[error(
        "the inherited socket {0} would accept passwords over plain HTTP from other machines: set \
         tls.mode, or list the proxies that terminate TLS in server.trusted_proxies, or set \
         server.allow_plain_http = true"
    )]
    PlainHttp(SocketAddr),
    /// The server cannot listen on a socket.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address of the socket, followed by the name of its setting if that is known.
        address: String,
        /// Error of the operating system when it opened the socket.
        #[source]
        source: io::Error,
    },
}

/// Server whose stores are open and whose sockets are bound.
pub struct Application {
    server: Server,
    listening: ListenAddresses,
    admin: Admin,
    /// The store, which is closed after the last request.
    store: Arc<dyn Health>,
    rate_limiter: RateLimiter,
    background: BackgroundTasks,
    reloads: Reloads,
    metrics: Option<metrics::Listener>,
    dropped_log_lines: Option<IntCounter>,
    traces: Option<Arc<traces::Exporter>>,
}

impl Application {
    /// Opens the stores, loads the certificates and binds the sockets of a server.
    ///
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// Returns a [`StartError`] if any of these steps fails. The message is one sentence for the
    /// operator.
    pub async fn build(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        // Installed first, so that a SIGHUP during the start does not end the process.
        let mut reloads = Reloads::on_hangup().map_err(StartError::Signals)?;
        let templates = Arc::new(Templates::load(settings.templates.dir.clone(), samples)?);
        let traces = traces::Exporter::start(&settings.traces)?.map(Arc::new);
        let wanted = settings.metrics.bind.is_some() || traces.is_some();
        let counts = wanted.then(|| Arc::new(metrics::all(&*clock)));
        let new = missing_store(settings);
        let stores =
            connect::connect_observed(settings, OpenMode::Create, counts.as_deref()).await?;
        if let Some(path) = new {
            tracing::info!(path = %path.display(), "created the store");
        }
        stores.mark_in_use().await?;
        background::readiness::probe_first(&stores).await;
        let passwords = &settings.password;
        let mut pool =
            PasswordPool::start(password_policy(passwords), passwords.workers, passwords.queue)?;
        if let Some(counts) = &counts {
            pool = metrics::watch(counts, pool);
        }
        let refused = counts.as_ref().map(|counts| Arc::clone(&counts.throttled));
        let rate_limiter = RateLimiter::new(
            Arc::clone(&stores.rate_limits),
            Arc::clone(&stores.rate_limit_records),
            Arc::clone(&clock),
            policy::rate_limit_policy(&settings.throttle),
            refused,
        );
        let limiter = settings.throttle.enabled.then_some(&rate_limiter);
        let mut background = BackgroundTasks::start(&stores, &pool, &clock, limiter);
        let provider = Provider::new(
            stores.clone(),
            pool.clone(),
            Arc::clone(&clock),
            policy::oauth_policy(settings),
            rate_limiter.clone(),
        )
        .with_metrics(counts.clone());
        background.probe(&stores, &provider);
        let telemetry = Telemetry {
            metrics: counts.clone(),
            traces: traces.clone().map(|traces| traces as Arc<dyn Collector>),
        };
        let admin = Admin::new(stores.clone(), Arc::clone(&clock));
        let management = policy::management_config(settings).map(|config| {
            let limiter = rate_limiter.clone();
            Management::new(config, admin.clone(), pool, Arc::clone(&templates), limiter)
        });
        let config = policy::web_config(settings);
        let web =
            Web::new(provider, management, Arc::clone(&templates), config).observed_by(telemetry);
        let certificate = listener::certificate(settings, &clock)?;
        let (server, listening) = listener::listen(settings, web, certificate.as_ref())?;
        if let Some(certificate) = certificate {
            if let Some(counts) = &counts {
                metrics::watch_certificate(counts, &certificate);
            }
            reloads.add(certificate);
        }
        reloads.add(templates);
        let dropped_log_lines = counts.as_ref().map(|counts| counts.dropped_log_lines.clone());
        let metrics = match (&settings.metrics.bind, counts) {
            (Some(bind), Some(counts)) => Some(metrics::Listener::bind(bind, &counts)?),
            _ => None,
        };
        Ok(Self {
            server,
            listening,
            admin,
            store: Arc::clone(&stores.health),
            rate_limiter,
            background,
            reloads,
            metrics,
            dropped_log_lines,
            traces,
        })
    }

    /// Returns the sockets that the server listens on, configured or inherited.
    pub const fn listening(&self) -> &ListenAddresses {
        &self.listening
    }

    /// Returns the TCP addresses that the server listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.listening.addresses
    }

    /// Returns the sockets of the Prometheus listener; `None` if that listener is off.
    pub fn metrics_listening(&self) -> Option<&ListenAddresses> {
        self.metrics.as_ref().map(metrics::Listener::listening)
    }

    /// Returns the metric that counts the log lines that were dropped; `None` if metrics are off.
    pub const fn dropped_log_lines(&self) -> Option<&IntCounter> {
        self.dropped_log_lines.as_ref()
    }

    /// Returns the operator's operations on the stores of this server.
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Returns a handle that stops the server from another task.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves requests until SIGTERM or SIGINT, then lets the requests in progress finish. SIGHUP
    /// reloads the certificates and the templates.
    ///
    /// # Errors
    /// Returns an I/O error if the HTTP server fails.
    pub async fn run(self) -> io::Result<()> {
        let Self { server, store, rate_limiter, background, reloads, metrics, traces, .. } = self;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(reloads.run());
        tasks.spawn(systemd::watchdog());
        let metrics = metrics.map(|metrics| metrics.run(&mut tasks));
        systemd::ready();
        let result = server.await;
        if let Some(metrics) = metrics {
            metrics.stop(false).await;
        }
        drop((background, tasks));
        rate_limiter.finish().await;
        store.close().await;
        if let Some(traces) = traces {
            // Sending the remaining spans blocks the thread. A failure is logged and does not
            // change the result.
            let _ = tokio::task::spawn_blocking(move || traces.finish()).await;
        }
        result
    }
}

/// Opens the stores that the settings select, for the command line and the purpose `mode`.
///
/// # Errors
/// Returns a [`StartError`] if the stores cannot be opened.
pub async fn open_stores(settings: &Settings, mode: OpenMode) -> Result<Stores, StartError> {
    Ok(connect::connect(settings, mode).await?)
}

/// Returns the absolute path of the embedded store if the settings select it and it does not exist
/// yet.
pub fn missing_store(settings: &Settings) -> Option<PathBuf> {
    connect::missing_file(settings)
}
