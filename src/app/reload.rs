//! Reloads certificates and templates on SIGHUP. If one cannot be loaded, its previous version
//! stays in use.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::supervisor;
use crate::web::reload::Reload;

/// The SIGHUP handler and the parts of the server that it reloads.
pub(super) struct Reloads {
    signal: Signal,
    what: Vec<Arc<dyn Reload>>,
}

impl Reloads {
    /// Installs the handler. From then on SIGHUP no longer ends the process.
    pub(super) fn on_hangup() -> io::Result<Self> {
        Ok(Self { signal: signal(SignalKind::hangup())?, what: Vec::new() })
    }

    pub(super) fn add(&mut self, what: Arc<dyn Reload>) {
        self.what.push(what);
    }

    /// Waits for signals and reloads on each; does not return.
    pub(super) async fn run(mut self) {
        while self.signal.recv().await.is_some() {
            supervisor::reloading();
            self.reload();
            supervisor::ready();
        }
    }

    fn reload(&self) {
        let mut stayed = Vec::new();
        for part in &self.what {
            match part.reload() {
                Ok(()) => {
                    // Shows the operator whether the new certificate is in use.
                    let not_after = part.not_after().map(|end| end.to_string());
                    tracing::info!(what = part.what(), not_after, "reloaded");
                }
                Err(error) => {
                    tracing::error!(what = part.what(), %error, "not reloaded, the old one stays");
                    stayed.push(part.what());
                }
            }
        }
        if stayed.is_empty() {
            tracing::info!("SIGHUP: all is read again");
        } else {
            let stayed = stayed.join(", ");
            tracing::warn!(stayed, "SIGHUP: not all is read again");
        }
    }
}
