//! The composition root: from settings to a server that listens.
//!
//! Everything that can be wrong is found before the first request is taken: stores are open,
//! certificates are loaded and sockets are bound when [`Application::build`] returns.

mod check;
mod hash_kinds;
mod http_server;
mod limits;
mod listener;
mod metrics;
mod policy;
mod purge;
mod reload;
mod sockets;
mod supervisor;
mod traces;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};

pub use check::{Found, check};
pub use limits::raise_open_files;
pub use listener::data_folder;
pub use policy::{lifetimes, password_policy};
pub use sockets::Listening;

use crate::admin::Admin;
use crate::domain::Clock;
use crate::oauth::Provider;
use crate::observe::trace::Collector;
use crate::password::{self, PasswordPool};
use crate::settings::Settings;
use crate::store::{StoreError, Stores, connect};
use crate::web::management::Management;
use crate::web::observed::Observers;
use crate::web::templates::{TemplateErrors, Templates};
use crate::web::{Web, tls};
use hash_kinds::HashKinds;
use purge::Purge;
use reload::Reloads;

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate or its key is no good.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The password settings cannot be used.
    #[error(transparent)]
    Passwords(#[from] password::StartError),
    /// Spans cannot be sent there.
    #[error("traces.endpoint cannot be used: {0}")]
    Traces(String),
    /// Something is asked for that this version has not.
    #[error("{0}")]
    Unsupported(&'static str),
    /// Templates cannot be rendered.
    #[error("templates are wrong (templates.dir):\n{0}")]
    Templates(#[from] TemplateErrors),
    /// The system gives no signals.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// Passwords would go over the network in the clear (RFC 6749 §3.2).
    #[error(
        "the inherited socket {0} would take passwords over plain HTTP from other machines: set \
         tls.mode, or name the proxies that add TLS in server.trusted_proxies, or set \
         server.allow_plain_http = true"
    )]
    PlainHttp(SocketAddr),
    /// A socket cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As it was set, and where.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// A server that is about to answer.
pub struct Application {
    server: Server,
    listening: Listening,
    admin: Admin,
    purge: Purge,
    hash_kinds: HashKinds,
    reloads: Reloads,
    metrics: Option<metrics::Listener>,
    traces: Option<Arc<traces::Exporter>>,
}

impl Application {
    /// Opens the stores, loads certificates, binds sockets. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`], one sentence for the operator.
    pub async fn build(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        // First of all: nobody has to wait with a signal until the server is there.
        let mut reloads = Reloads::on_hangup().map_err(StartError::Signals)?;
        let templates = Arc::new(Templates::load(settings.templates.dir.clone())?);
        let traces = traces::Exporter::start(&settings.traces)?.map(Arc::new);
        let wanted = settings.metrics.bind.is_some() || traces.is_some();
        let counts = wanted.then(|| Arc::new(metrics::all(&*clock)));
        let stores = connect::connect_observed(settings, counts.as_deref()).await?;
        stores.take_into_use().await?;
        let passwords = &settings.password;
        let mut pool =
            PasswordPool::start(password_policy(passwords), passwords.workers, passwords.queue)?;
        if let Some(counts) = &counts {
            pool = metrics::watch(counts, pool);
        }
        let hash_kinds = HashKinds::start(Arc::clone(&stores.users), pool.clone());
        let policies = policy::oauth_policy(settings);
        let provider = Provider::new(stores.clone(), pool.clone(), Arc::clone(&clock), policies)
            .observed_by(counts.clone());
        let observers = Observers {
            metrics: counts.clone(),
            traces: traces.clone().map(|traces| traces as Arc<dyn Collector>),
        };
        let admin = Admin::new(stores.clone(), Arc::clone(&clock));
        let management = policy::management_policy(settings)
            .map(|policy| Management::new(policy, admin.clone(), pool, Arc::clone(&templates)));
        let policy = policy::web_policy(settings);
        let web =
            Web::new(provider, management, Arc::clone(&templates), policy).observed_by(observers);
        let certificate = listener::certificate(settings, &clock)?;
        let (server, listening) = listener::listen(settings, web, certificate.as_ref())?;
        if let Some(certificate) = certificate {
            if let Some(counts) = &counts {
                metrics::watch_certificate(counts, &certificate);
            }
            reloads.add(certificate);
        }
        reloads.add(templates);
        let metrics = match (&settings.metrics.bind, counts) {
            (Some(bind), Some(counts)) => Some(metrics::Listener::bind(bind, counts)?),
            _ => None,
        };
        let purge = Purge::start(&stores, &clock);
        Ok(Self { server, listening, admin, purge, hash_kinds, reloads, metrics, traces })
    }

    /// What is listened on: by the settings, or handed over.
    pub const fn listening(&self) -> &Listening {
        &self.listening
    }

    /// The TCP addresses of it.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.listening.addresses
    }

    /// What Prometheus is listened to on, if it is.
    pub fn metrics_listening(&self) -> Option<&Listening> {
        self.metrics.as_ref().map(metrics::Listener::listening)
    }

    /// What an operator can do, on the stores of this server.
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Stops the server from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Answers until a signal comes. SIGTERM and SIGINT let calls in flight finish; SIGHUP reads
    /// certificates again.
    ///
    /// # Errors
    /// When the system takes the sockets away.
    pub async fn run(self) -> io::Result<()> {
        let Self { server, purge, hash_kinds, reloads, metrics, traces, .. } = self;
        let mut beside = tokio::task::JoinSet::new();
        beside.spawn(reloads.run());
        beside.spawn(supervisor::watchdog());
        let metrics = metrics.map(|metrics| metrics.run(&mut beside));
        supervisor::ready();
        let result = server.await;
        if let Some(metrics) = metrics {
            metrics.stop(false).await;
        }
        drop((purge, hash_kinds, beside));
        if let Some(traces) = traces {
            // What is left is sent; that may wait, and there is nothing else to do.
            let _ = tokio::task::spawn_blocking(move || traces.finish()).await;
        }
        result
    }
}

/// The stores of the settings, for the command line.
///
/// # Errors
/// When they cannot be opened.
pub async fn open_stores(settings: &Settings) -> Result<Stores, StartError> {
    Ok(connect::connect(settings).await?)
}

/// The same for reading alone; `None` when there are none yet.
///
/// # Errors
/// When they cannot be opened.
pub async fn open_stores_for_reading(settings: &Settings) -> Result<Option<Stores>, StartError> {
    Ok(connect::connect_reading(settings).await?)
}
