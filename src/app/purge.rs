//! Expired sessions are removed in the background, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Clock;
use crate::store::SessionStore;

/// How often expired sessions are removed.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// How many are removed in one write, so that others get their turn in between.
const PURGE_BATCH: u32 = 500;
/// Removes expired sessions in the background for as long as it is kept.
pub(super) struct Purge(tokio::task::JoinHandle<()>);

impl Purge {
    pub(super) fn start(sessions: Arc<dyn SessionStore>, clock: Arc<dyn Clock>) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PURGE_EVERY);
            loop {
                ticks.tick().await;
                purge(&*sessions, &*clock).await;
            }
        }))
    }
}

impl Drop for Purge {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn purge(sessions: &dyn SessionStore, clock: &dyn Clock) {
    loop {
        match sessions.purge(clock.now(), PURGE_BATCH).await {
            Ok(removed) if removed >= u64::from(PURGE_BATCH) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "expired sessions could not be removed");
                return;
            }
        }
    }
}
