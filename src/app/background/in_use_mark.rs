//! Marks the store as in use, so that `store copy` refuses it as a target.
//!
//! The mark is set repeatedly. A `store copy` may find the store empty while this server runs, and
//! mark it as its target. Its next run would then remove what this server has stored.

use std::time::Duration;

use super::every;
use super::outage_log::OutageLog;
use crate::observe::error_chain;
use crate::store::{StoreError, Stores};

const INTERVAL: Duration = Duration::from_secs(5);

pub(super) async fn run(stores: Stores) {
    let (name, mut log) = (stores.health.name(), OutageLog::default());
    let mut ticks = every(INTERVAL);
    loop {
        ticks.tick().await;
        match stores.mark_in_use().await {
            Ok(()) => log.ended(|| tracing::info!("{name} works again")),
            Err(error @ StoreError::Unavailable(_)) => log.began(|| {
                let why = error_chain(&error);
                tracing::error!(
                    "{name} fails; requests get 503 until it works again, without a restart: {why}"
                );
            }),
            // The store responds, so this is no outage. The next tick tries again.
            Err(_) => {}
        }
    }
}
