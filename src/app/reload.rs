//! Reloads certificates and templates on SIGHUP. If one cannot be loaded, its previous version
//! stays in use.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::systemd;
use crate::web::reload::Reload;

/// The SIGHUP handler and the parts of the server that it reloads.
pub(super) struct Reloads {
    signal: Signal,
    parts: Vec<Arc<dyn Reload>>,
}

impl Reloads {
    /// Installs the SIGHUP handler. From then on SIGHUP no longer ends the process.
    pub(super) fn on_hangup() -> io::Result<Self> {
        Ok(Self { signal: signal(SignalKind::hangup())?, parts: Vec::new() })
    }

    pub(super) fn add(&mut self, part: Arc<dyn Reload>) {
        self.parts.push(part);
    }

    /// Reloads all registered parts of the server at each SIGHUP; does not return.
    pub(super) async fn run(mut self) {
        while self.signal.recv().await.is_some() {
            systemd::reloading();
            // A panic must not end this task, since later signals would have no effect.
            let reloading = catch_unwind(AssertUnwindSafe(|| self.reload()));
            if reloading.is_err() {
                tracing::error!("SIGHUP: the reload panicked and is incomplete");
            }
            systemd::ready();
        }
    }

    fn reload(&self) {
        let mut failed = Vec::new();
        for part in &self.parts {
            match part.reload() {
                Ok(()) => {
                    // Shows the operator whether the new certificate is in use.
                    let not_after = part.not_after().map(|end| end.to_string());
                    tracing::info!(what = part.name(), not_after, "reloaded");
                }
                Err(error) => {
                    tracing::error!(
                        what = part.name(),
                        %error,
                        "reload failed; the previous version stays in use"
                    );
                    failed.push(part.name());
                }
            }
        }
        if failed.is_empty() {
            tracing::info!("SIGHUP: reload complete");
        } else {
            let failed = failed.join(", ");
            tracing::warn!(failed, "SIGHUP: reload incomplete; correct the files and repeat it");
        }
    }
}
