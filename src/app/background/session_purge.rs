//! Deletes expired sessions, and the notes of imported sessions that have ended.

use std::sync::Arc;
use std::time::Duration;

use super::every;
use crate::domain::Clock;
use crate::observe::error_chain;
use crate::store::{SessionStore, Stores, imports};

const INTERVAL: Duration = Duration::from_secs(60);
/// Maximum number of expired sessions deleted in one write, so that other writes run in between.
const BATCH: u32 = 500;

pub(super) async fn run(stores: Stores, clock: Arc<dyn Clock>) {
    let mut ticks = every(INTERVAL);
    loop {
        ticks.tick().await;
        purge(&*stores.sessions, &*clock).await;
        if let Err(error) = imports::purge_session_records(&stores, clock.now()).await {
            tracing::warn!(
                error = error_chain(&error),
                "ended imported sessions were not cleaned up; the next attempt is in a minute"
            );
        }
    }
}

async fn purge(sessions: &dyn SessionStore, clock: &dyn Clock) {
    loop {
        match sessions.purge(clock.now(), BATCH).await {
            Ok(removed) if removed >= u64::from(BATCH) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(
                    error = error_chain(&error),
                    "expired sessions were not deleted; the next attempt is in a minute"
                );
                return;
            }
        }
    }
}
