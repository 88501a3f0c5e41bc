//! Compares the tokens published in Redis with the store after Redis was restarted or replaced.

use std::sync::Arc;
use std::time::Duration;

use super::every;
use super::outage_log::OutageLog;
use crate::observe::error_chain;
use crate::store::Publisher;

const INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(publisher: Arc<dyn Publisher>) {
    let mut log = OutageLog::default();
    let mut ticks = every(INTERVAL);
    loop {
        ticks.tick().await;
        match publisher.reconcile().await {
            Ok(()) => log.ended(|| tracing::info!("published tokens are compared with the store")),
            Err(error) => log.began(|| {
                let why = error_chain(&error);
                tracing::warn!(
                    "published tokens could not be compared with the store; Redis may still have \
                     tokens that have ended. This is retried every second: {why}"
                );
            }),
        }
    }
}
