//! Background tasks of a server, one file for each.

mod access_token_purge;
mod ambiguous_users;
mod in_use_mark;
mod invalidation_delivery;
mod outage_log;
mod password_hash_survey;
mod rate_limit_orders;
pub(super) mod readiness;
mod redis_reconciliation;
mod session_purge;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::domain::Clock;
use crate::oauth::Provider;
use crate::password::PasswordPool;
use crate::rate_limit::{OrderFollower, RateLimiter};
use crate::store::Stores;

/// Pause before a background task that panicked starts again.
const RESTART_PAUSE: Duration = Duration::from_secs(10);

/// Background tasks of a server, which run until this value is dropped.
pub(super) struct BackgroundTasks {
    /// The running tasks, aborted on drop.
    tasks: JoinSet<()>,
}

impl BackgroundTasks {
    /// Starts the background tasks. `limiter` is the rate limiter, unless it is switched off.
    pub(super) fn start(
        stores: &Stores,
        passwords: &PasswordPool,
        clock: &Arc<dyn Clock>,
        limiter: Option<&RateLimiter>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        // Not in the task: it must take effect before the first login.
        passwords.await_survey();
        let survey = (Arc::clone(&stores.listing), passwords.clone());
        tasks.spawn(restarted(survey, |(listing, passwords)| {
            password_hash_survey::run(listing, passwords)
        }));
        let purge = (stores.clone(), Arc::clone(clock));
        tasks.spawn(restarted(purge.clone(), |(stores, clock)| session_purge::run(stores, clock)));
        tasks.spawn(restarted(purge, |(stores, clock)| access_token_purge::run(stores, clock)));
        tasks.spawn(restarted(stores.clone(), in_use_mark::run));
        tasks.spawn(restarted(stores.clone(), ambiguous_users::run));
        if let Some(limiter) = limiter {
            let records = Arc::clone(&stores.rate_limit_records);
            let orders = (limiter.clone(), records, Arc::clone(clock));
            tasks.spawn(restarted(orders, |(limiter, records, clock)| {
                rate_limit_orders::run(OrderFollower::new(limiter, records), clock)
            }));
        }
        if let Some(publisher) = stores.publisher.clone() {
            tasks.spawn(restarted(Arc::clone(&publisher), redis_reconciliation::run));
            let delivery = (publisher, Arc::clone(&stores.health));
            tasks.spawn(restarted(delivery, |(publisher, health)| {
                invalidation_delivery::run(publisher, health)
            }));
        }
        Self { tasks }
    }

    /// Starts the probes of the stores, whose results decide whether the server is ready and
    /// whether an outage of refreshes at `provider` is over.
    pub(super) fn probe(&mut self, stores: &Stores, provider: &Provider) {
        let store = (Arc::clone(&stores.health), provider.clone());
        self.tasks
            .spawn(restarted(store, |(health, provider)| readiness::probe_store(health, provider)));
        if let Some(publisher) = stores.publisher.clone() {
            let redis = (publisher, provider.clone());
            self.tasks.spawn(restarted(redis, |(publisher, provider)| {
                readiness::probe_redis(publisher, provider)
            }));
        }
    }
}

/// Runs a background task with a copy of `state`. If the task panics, it starts again after
/// [`RESTART_PAUSE`]. The panic itself is logged by the hook of `telemetry`.
async fn restarted<S: Clone, F: Future<Output = ()>>(state: S, task: impl Fn(S) -> F) {
    while AssertUnwindSafe(task(state.clone())).catch_unwind().await.is_err() {
        tracing::error!("a background task panicked; it starts again in {RESTART_PAUSE:?}");
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

/// Returns a timer with this period, which does not make up for ticks that a slow store delayed.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn background_task_that_panics_starts_again() {
        let started = Arc::new(AtomicU32::new(0));
        let task = |started: Arc<AtomicU32>| async move {
            let earlier = started.fetch_add(1, Ordering::Relaxed);
            assert!(earlier > 1, "on purpose");
        };
        restarted(Arc::clone(&started), task).await;
        assert_eq!(started.load(Ordering::Relaxed), 3);
    }
}
