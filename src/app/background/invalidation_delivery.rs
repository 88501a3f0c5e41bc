//! Delivers pending Redis invalidations, also those that other processes left behind.

use std::sync::Arc;
use std::time::Duration;

use super::every;
use super::outage_log::OutageLog;
use crate::observe::error_chain;
use crate::store::{DeliveryError, Health, Publisher};

/// Interval between deliveries of pending invalidations (removals of outdated copies from Redis). A
/// server stops reading the cache within a second after another server could not remove a copy.
const INTERVAL: Duration = Duration::from_millis(500);

pub(super) async fn run(publisher: Arc<dyn Publisher>, health: Arc<dyn Health>) {
    let mut log = OutageLog::default();
    let mut ticks = every(INTERVAL);
    loop {
        ticks.tick().await;
        match publisher.deliver_pending().await {
            Ok(true) => log.ended(|| tracing::info!("Redis invalidations are delivered again")),
            Ok(false) => {}
            Err(error) => log.began(|| {
                let (why, store) = (error_chain(&error), health.name());
                let of_store = matches!(error, DeliveryError::Store(_));
                let server = if of_store { store } else { "Redis" };
                tracing::warn!(
                    "Redis invalidations are pending because {server} fails; Redis may still have \
                     tokens that have ended. Delivery is retried twice a second: {why}"
                );
            }),
        }
    }
}
