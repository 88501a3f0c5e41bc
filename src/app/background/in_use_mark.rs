//! Marks the store as in use, so that `store copy` refuses it as a target.
//!
//! The mark is set repeatedly. A `store copy` may find the store empty while this server runs, and
//! mark it as its target. Its next run would then remove what this server has stored.

use std::time::Duration;

use super::every;
use crate::observe::error_chain;
use crate::store::Stores;

const INTERVAL: Duration = Duration::from_secs(5);

pub(super) async fn run(stores: Stores) {
    let mut ticks = every(INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = stores.mark_in_use().await {
            // The probe of the store logs an outage.
            tracing::debug!(error = error_chain(&error), "the store was not marked as in use");
        }
    }
}
