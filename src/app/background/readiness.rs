//! Probes of the store and of Redis: small writes, whose results `/readyz` returns.
//!
//! Each probe has a task of its own, so that one that hangs does not delay the other. A successful
//! probe also ends an outage of refreshes, for a server without logins.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::every;
use super::outage_log::OutageLog;
use crate::oauth::Provider;
use crate::observe::error_chain;
use crate::store::{Health, Publisher, StoreError, Stores};

/// Interval between two probes. A result is valid for two seconds, of which a probe may take one.
const INTERVAL: Duration = Duration::from_secs(1);
/// Maximum time that the start of a server waits for the first probes.
const FIRST: Duration = Duration::from_secs(2);

/// Makes the first probes, so that a server that starts knows whether it is ready. Their results
/// are recorded; a failure does not prevent the start.
pub(in crate::app) async fn probe_first(stores: &Stores) {
    let redis = async {
        if let Some(publisher) = &stores.publisher {
            // The next probe logs a failure.
            let _ = publisher.probe().await;
        }
    };
    let both = async { futures_util::join!(stores.health.probe(), redis) };
    if timeout(FIRST, both).await.is_err() {
        tracing::warn!("a first write has taken too long; the server starts and is not ready");
    }
}

pub(super) async fn probe_store(health: Arc<dyn Health>, provider: Provider) {
    let (name, mut log) = (health.name(), OutageLog::default());
    let mut ticks = every(INTERVAL);
    loop {
        ticks.tick().await;
        match health.probe().await {
            Ok(()) => {
                provider.end_outage_if_over();
                log.ended(|| tracing::info!("{name} works again"));
            }
            // Too many writes are waiting, so their results tell more than a probe.
            Err(StoreError::Busy) => {}
            Err(error) => log.began(|| {
                let why = error_chain(&error);
                tracing::error!(
                    "{name} fails; requests get 503 until it works again, without a restart: {why}"
                );
            }),
        }
    }
}

pub(super) async fn probe_redis(publisher: Arc<dyn Publisher>, provider: Provider) {
    let mut log = OutageLog::default();
    let mut ticks = every(INTERVAL);
    loop {
        ticks.tick().await;
        match publisher.probe().await {
            Ok(()) => {
                provider.end_outage_if_over();
                log.ended(|| tracing::info!("Redis accepts writes again"));
            }
            // The component that detected the outage has logged it.
            Err(_) if publisher.is_down() => {}
            Err(error) => log.began(|| {
                let why = error_chain(&error);
                let effect = if publisher.is_required() {
                    "logins and refreshes get 503 until it accepts them (redis.publish_tokens); \
                     raise maxmemory if it is full"
                } else {
                    "revocations may get 503 until it accepts them"
                };
                tracing::error!("Redis refuses writes; {effect}: {why}");
            }),
        }
    }
}
