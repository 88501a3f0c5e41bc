//! The Prometheus listener, and the metrics that are set up when the server starts.

use std::sync::Arc;
use std::time::Duration;

use actix_server::ServerBuilder;
use actix_web::App;
use actix_web::dev::{Server, ServerHandle};
use tokio::task::JoinSet;

use super::StartError;
use super::http_server::HttpServer;
use super::sockets::{self, ListenAddresses};
use crate::domain::Clock;
use crate::oauth::{GRANT_NAMES, token_outcomes};
use crate::observe::metrics::Metrics;
use crate::password::PasswordPool;
use crate::settings::Bind;
use crate::web;
use crate::web::certificate::Certificate;

/// Creates the metrics of a server that starts now.
pub(super) fn all(clock: &dyn Clock) -> Metrics {
    Metrics::new(&GRANT_NAMES, &token_outcomes(), clock.now().as_seconds())
}

/// Makes `pool` record its queue and the duration of hashing in `metrics`, and returns the pool.
pub(super) fn watch(metrics: &Metrics, pool: PasswordPool) -> PasswordPool {
    let queue = pool.clone();
    metrics.watch_queue(Box::new(move || queue.depth() as f64), pool.capacity());
    pool.observed_by(Arc::clone(&metrics.passwords))
}

/// Adds the expiration time of the TLS certificate in use to `metrics`, also after a reload.
pub(super) fn watch_certificate(metrics: &Metrics, certificate: &Arc<Certificate>) {
    let certificate = Arc::clone(certificate);
    let not_after = move || certificate.not_after().map_or(f64::NAN, |end| end.as_seconds() as f64);
    metrics.watch_certificate(Box::new(not_after));
}

/// Time limit of a request head on the Prometheus listener.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Prometheus listener whose sockets are bound.
pub(super) struct Listener {
    server: Server,
    listening: ListenAddresses,
}

impl Listener {
    pub(super) fn bind(bind: &Bind, metrics: &Arc<Metrics>) -> Result<Self, StartError> {
        const KEY: &str = "metrics.bind";
        let failed = |source| StartError::Listen { address: format!("{bind} ({KEY})"), source };
        let mut bound = Vec::new();
        sockets::bind(KEY, bind, &mut bound)?;
        // One thread suffices for a scrape every few seconds.
        let mut server = ServerBuilder::new().workers(1).disable_signals();
        let http = HttpServer::new(&server, REQUEST_TIMEOUT, None);
        let mut listening = ListenAddresses::default();
        for socket in bound {
            let metrics = Arc::clone(metrics);
            let app =
                move || App::new().configure(|config| web::metrics::configure(config, &metrics));
            server = http.listen(server, socket, &mut listening, app).map_err(failed)?;
        }
        Ok(Self { server: server.run(), listening })
    }

    pub(super) const fn listening(&self) -> &ListenAddresses {
        &self.listening
    }

    /// Serves Prometheus in a new task of `tasks`. Returns the handle that stops the listener.
    pub(super) fn run(self, tasks: &mut JoinSet<()>) -> ServerHandle {
        let handle = self.server.handle();
        tasks.spawn(async move {
            if let Err(error) = self.server.await {
                tracing::error!(%error, "the metrics listener failed: restart the server to scrape it");
            }
        });
        handle
    }
}
