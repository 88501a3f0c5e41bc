//! Removes expired access tokens from live sessions.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::every;
use crate::domain::Clock;
use crate::observe::error_chain;
use crate::store::{Page, StoreError, Stores};

/// Interval between removals of expired access tokens. It is long because each removal reads all
/// sessions, and an expired token takes only the space of its digest.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Number of sessions that are read at a time when expired access tokens are removed.
const BATCH: u32 = 100;
/// Pause after each batch of sessions searched for expired access tokens, so that reading millions
/// of sessions does not occupy a core that serves requests.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run(stores: Stores, clock: Arc<dyn Clock>) {
    let mut ticks = every(INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = purge(&stores, &*clock).await {
            tracing::warn!(
                error = error_chain(&error),
                "expired access tokens were not removed; the next attempt is in an hour"
            );
        }
    }
}

/// Removes the expired access tokens of all sessions, and skips corrupt sessions. A session that
/// changes meanwhile is left alone, since a refresh removes expired tokens too.
async fn purge(stores: &Stores, clock: &dyn Clock) -> Result<(), StoreError> {
    let mut page = Page::first(BATCH);
    loop {
        let batch = stores.listing.list_sessions_skipping_corrupt(&page).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        let is_last = batch.len() < BATCH as usize;
        page.cursor = Some(last.id.to_string());
        let lighter: Vec<_> =
            batch.iter().filter_map(|session| session.without_expired(clock.now())).collect();
        // Concurrent writes share a commit.
        let replacing = lighter.iter().map(|session| stores.sessions.replace(session, false));
        try_join_all(replacing).await?;
        if is_last {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
