//! SIGHUP: everything that was read from files is read again. What is wrong stays as it was.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::supervisor;
use crate::web::reload::Reload;

/// What is read again, and the signal for it.
pub(super) struct Reloads {
    signal: Signal,
    what: Vec<Arc<dyn Reload>>,
}

impl Reloads {
    /// From here on the signal no longer ends the process.
    pub(super) fn on_hangup() -> io::Result<Self> {
        Ok(Self { signal: signal(SignalKind::hangup())?, what: Vec::new() })
    }

    pub(super) fn add(&mut self, what: Arc<dyn Reload>) {
        self.what.push(what);
    }

    /// Waits for signals, and never returns.
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
                    // Whether it is the new one can be seen by this.
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
