//! Background tasks of a server, one file for each.

mod access_token_purge;
mod ambiguous_users;
mod in_use_mark;
mod invalidation_delivery;
mod outage_log;
mod password_hash_survey;
pub(super) mod readiness;
mod redis_reconciliation;
mod session_purge;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::domain::Clock;
use crate::oauth::Provider;
use crate::password::PasswordPool;
use crate::store::Stores;

/// Background tasks of a server, which run until this value is dropped.
pub(super) struct BackgroundTasks {
    /// The running tasks, aborted on drop.
    tasks: JoinSet<()>,
}

impl BackgroundTasks {
    pub(super) fn start(stores: &Stores, passwords: &PasswordPool, clock: &Arc<dyn Clock>) -> Self {
        let mut tasks = JoinSet::new();
        // Not in the task: it must take effect before the first login.
        passwords.await_survey();
        tasks.spawn(password_hash_survey::run(Arc::clone(&stores.listing), passwords.clone()));
        tasks.spawn(session_purge::run(stores.clone(), Arc::clone(clock)));
        tasks.spawn(access_token_purge::run(stores.clone(), Arc::clone(clock)));
        tasks.spawn(in_use_mark::run(stores.clone()));
        tasks.spawn(ambiguous_users::run(stores.clone()));
        if let Some(publisher) = stores.publisher.clone() {
            tasks.spawn(redis_reconciliation::run(Arc::clone(&publisher)));
            tasks.spawn(invalidation_delivery::run(publisher, Arc::clone(&stores.health)));
        }
        Self { tasks }
    }

    /// Starts the probes of the stores, whose results decide whether the server is ready and
    /// whether an outage of refreshes at `provider` is over.
    pub(super) fn probe(&mut self, stores: &Stores, provider: &Provider) {
        let health = Arc::clone(&stores.health);
        self.tasks.spawn(readiness::probe_store(health, provider.clone()));
        if let Some(publisher) = stores.publisher.clone() {
            self.tasks.spawn(readiness::probe_redis(publisher, provider.clone()));
        }
    }
}

/// Returns a timer with this period, which does not make up for ticks that a slow store delayed.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
