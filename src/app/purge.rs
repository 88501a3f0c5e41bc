//! What a server does in the background: what has expired is removed, a few at a time, with what is only of use with it,
//! and Redis and copies are told what they have to know.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::MissedTickBehavior;

use crate::domain::Clock;
use crate::observe::chain;
use crate::store::{Page, SessionStore, StoreError, Stores, imports};

/// How often expired sessions are removed.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// How many are removed in one write, so that others get their turn in between.
const PURGE_BATCH: u32 = 500;
/// How often expired access tokens of sessions that go on are removed: all sessions have to be read for
/// it, and what is left of such a token is a digest.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How often it is looked whether Redis has still to be told of something.
const CATCH_UP_EVERY: Duration = Duration::from_secs(1);
/// How often it is said that the store is in use. A copy that found it empty, with this server on it, has marked it as its
/// own since, and its next run would take away what was made here.
const SAID_EVERY: Duration = Duration::from_secs(5);
/// Sessions read at a time by a sweep.
const SWEEP_BATCH: u32 = 100;
/// Between two such batches, so that reading millions does not take a core from those who ask.
const SWEEP_PAUSE: Duration = Duration::from_millis(50);

/// Removes expired sessions in the background for as long as it is kept.
pub(super) struct Purge {
    /// Aborted when they are dropped.
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
                        error = chain(&error),
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
                // A store that fails takes no copy either.
                match used.take_into_use().await {
                    Ok(()) => outage.is_over(|| tracing::info!("{name} works again")),
                    Err(error @ StoreError::Unavailable(_)) => outage.is_there(|| {
                        let why = chain(&error);
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
                    match publisher.catch_up().await {
                        Ok(true) => outage
                            .is_over(|| tracing::info!("Redis is told again of what has ended")),
                        Ok(false) => {}
                        Err(error) => outage.is_there(|| {
                            let (why, store) = (chain(&error), health.name());
                            let untold = matches!(error, StoreError::Untold(_));
                            let server = if untold { "Redis" } else { store };
                            tracing::warn!(
                                "Redis is not told of what has ended while {server} fails, which is \
                                 tried again each second: {why}"
                            );
                        }),
                    }
                }
            });
        }
        let (sessions, clock) = (Arc::clone(&stores.sessions), Arc::clone(clock));
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(SWEEP_EVERY);
            loop {
                ticks.tick().await;
                if let Err(error) = sweep(&*sessions, &*clock).await {
                    tracing::warn!(
                        error = chain(&error),
                        "expired access tokens could not be removed"
                    );
                }
            }
        });
        Self { _tasks: tasks }
    }
}

/// Says once that something fails, and once that it does no longer.
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
                tracing::warn!(error = chain(&error), "expired sessions could not be removed");
                return;
            }
        }
    }
}

/// Removes expired access tokens from sessions that go on and can be read. Who changes one meanwhile wins: a
/// refresh removes them too.
async fn sweep(sessions: &dyn SessionStore, clock: &dyn Clock) -> Result<(), StoreError> {
    let mut page = Page::first(SWEEP_BATCH);
    loop {
        let batch = sessions.list_sound(&page).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        let is_last = batch.len() < SWEEP_BATCH as usize;
        page.after = Some(last.id.to_string());
        let lighter: Vec<_> =
            batch.iter().filter_map(|session| session.without_expired(clock.now())).collect();
        // All at once, so that they share a commit.
        try_join_all(lighter.iter().map(|session| sessions.replace(session))).await?;
        if is_last {
            return Ok(());
        }
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}
