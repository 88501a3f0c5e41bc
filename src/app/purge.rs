//! Background tasks of a server.
//!
//! They purge expired sessions, expired access tokens and the notes of imported sessions that have
//! ended, deliver pending Redis invalidations, and mark the store as in use, so that `store copy`
//! refuses it as a target.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::MissedTickBehavior;

use crate::domain::Clock;
use crate::observe::error_chain;
use crate::store::{DeliveryError, Page, SessionStore, StoreError, Stores, imports};

/// Interval between purges of expired sessions.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// Maximum number of sessions purged in one write, so that other writes run in between.
const PURGE_BATCH: u32 = 500;
/// Interval between sweeps for expired access tokens of live sessions. It is long because a sweep
/// reads all sessions, and only a digest remains of such a token.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Interval between attempts to deliver pending Redis invalidations.
const CATCH_UP_EVERY: Duration = Duration::from_secs(1);
/// Interval at which the store is marked as in use. A `store copy` may find the store empty while
/// this server runs, and mark it as its target. Its next run would then remove what this server has
/// stored.
const SAID_EVERY: Duration = Duration::from_secs(5);
/// Number of sessions that a sweep reads at a time.
const SWEEP_BATCH: u32 = 100;
/// Pause after each batch of a sweep, so that reading millions of sessions does not occupy a core
/// that serves requests.
const SWEEP_PAUSE: Duration = Duration::from_millis(50);

/// Background tasks, which run until this is dropped.
pub(super) struct Purge {
    /// Aborted on drop.
    _tasks: tokio::task::JoinSet<()>,
}

impl Purge {
    pub(super) fn start(stores: &Stores, clock: &Arc<dyn Clock>) -> Self {
        let mut tasks = tokio::task::JoinSet::new();
        let (all, time) = (stores.clone(), Arc::clone(clock));
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(PURGE_EVERY);
            loop {
                ticks.tick().await;
                purge(&*all.sessions, &*time).await;
                if let Err(error) = imports::forget_sessions_over(&all, time.now()).await {
                    tracing::warn!(
                        error = error_chain(&error),
                        "it is not known whether imported tokens are alive"
                    );
                }
            }
        });
        let used = stores.clone();
        tasks.spawn(async move {
            let (name, mut outage) = (used.health.name(), Outage::default());
            let mut ticks = tokio::time::interval(SAID_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // A store that fails cannot be the target of a copy either.
                match used.mark_in_use().await {
                    Ok(()) => outage.is_over(|| tracing::info!("{name} works again")),
                    Err(error @ StoreError::Unavailable(_)) => outage.is_there(|| {
                        let why = error_chain(&error);
                        tracing::error!(
                            "{name} fails, and calls are answered 503 meanwhile: {why}"
                        );
                    }),
                    Err(_) => {}
                }
            }
        });
        if let Some(publisher) = stores.publisher.clone() {
            let health = Arc::clone(&stores.health);
            tasks.spawn(async move {
                let mut outage = Outage::default();
                let mut ticks = tokio::time::interval(CATCH_UP_EVERY);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    match publisher.deliver_pending().await {
                        Ok(true) => outage.is_over(|| {
                            tracing::info!("pending Redis invalidations are delivered again")
                        }),
                        Ok(false) => {}
                        Err(error) => outage.is_there(|| {
                            let (why, store) = (error_chain(&error), health.name());
                            let of_store = matches!(error, DeliveryError::Store(_));
                            let server = if of_store { store } else { "Redis" };
                            tracing::warn!(
                                "Redis invalidations stay pending while {server} fails; this is \
                                 retried every second: {why}"
                            );
                        }),
                    }
                }
            });
        }
        let (stores, clock) = (stores.clone(), Arc::clone(clock));
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(SWEEP_EVERY);
            loop {
                ticks.tick().await;
                if let Err(error) = sweep(&stores, &*clock).await {
                    tracing::warn!(
                        error = error_chain(&error),
                        "expired access tokens could not be removed"
                    );
                }
            }
        });
        Self { _tasks: tasks }
    }
}

/// Logs an outage once when it begins and once when it is over.
#[derive(Default)]
struct Outage(bool);

impl Outage {
    fn is_there(&mut self, say: impl FnOnce()) {
        if !std::mem::replace(&mut self.0, true) {
            say();
        }
    }

    fn is_over(&mut self, say: impl FnOnce()) {
        if std::mem::take(&mut self.0) {
            say();
        }
    }
}

async fn purge(sessions: &dyn SessionStore, clock: &dyn Clock) {
    loop {
        match sessions.purge(clock.now(), PURGE_BATCH).await {
            Ok(removed) if removed >= u64::from(PURGE_BATCH) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(
                    error = error_chain(&error),
                    "expired sessions could not be removed"
                );
                return;
            }
        }
    }
}

/// Removes expired access tokens from live sessions, and skips corrupt sessions. A session that
/// changes meanwhile is left alone, since a refresh removes expired tokens too.
async fn sweep(stores: &Stores, clock: &dyn Clock) -> Result<(), StoreError> {
    let mut page = Page::first(SWEEP_BATCH);
    loop {
        let batch = stores.listing.list_sessions_skipping_corrupt(&page).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        let is_last = batch.len() < SWEEP_BATCH as usize;
        page.cursor = Some(last.id.to_string());
        let lighter: Vec<_> =
            batch.iter().filter_map(|session| session.without_expired(clock.now())).collect();
        // Concurrent writes share a commit.
        let replacing = lighter.iter().map(|session| stores.sessions.replace(session, false));
        for replaced in try_join_all(replacing).await? {
            replaced.invalidation?;
        }
        if is_last {
            return Ok(());
        }
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}
