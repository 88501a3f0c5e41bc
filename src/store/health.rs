//! Name and closing of a store, and whether it accepts writes, as its last write has shown.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Result, StoreError, Stores};

/// Maximum age of a successful write that shows that the next write would succeed too.
const MAX_AGE: Duration = Duration::from_secs(2);

/// Name and closing of a store, and the result of its last write.
#[async_trait]
pub trait Health: Send + Sync {
    /// Returns the kind and the location of the store, for log messages.
    fn name(&self) -> &str;

    /// Makes a small durable write, which changes no record, and records its result in
    /// [`Self::last_write`]. Returns [`StoreError::Busy`], and records nothing, if too many other
    /// operations are waiting.
    async fn probe(&self) -> Result<()>;

    /// Returns the record of the last write, by a probe or a request of this process.
    fn last_write(&self) -> &LastWrite;

    /// Completes the work in progress and closes the connections of the store, if it has any that
    /// must not end with the process. Later operations fail.
    async fn close(&self) {}
}

/// Result of the last completed write of this process to a store or to Redis.
#[derive(Debug, Default)]
pub struct LastWrite(Mutex<Option<CompletedWrite>>);

#[derive(Clone, Copy, Debug)]
struct CompletedWrite {
    started: Instant,
    ended: Instant,
    succeeded: bool,
}

impl LastWrite {
    /// Records the result of a write that began at `started` and has just ended. Ignores it if a
    /// write that began later has ended already.
    pub fn record(&self, started: Instant, succeeded: bool) {
        let mut last = self.lock();
        if last.is_none_or(|last| last.started <= started) {
            *last = Some(CompletedWrite { started, ended: Instant::now(), succeeded });
        }
    }

    /// Returns whether the last write succeeded and ended at most two seconds ago.
    pub fn is_recent_success(&self) -> bool {
        self.lock().is_some_and(|last| last.succeeded && last.ended.elapsed() <= MAX_AGE)
    }

    /// Returns whether the last write succeeded and began after `time`.
    fn is_success_since(&self, time: Instant) -> bool {
        self.lock().is_some_and(|last| last.succeeded && last.started > time)
    }

    fn lock(&self) -> MutexGuard<'_, Option<CompletedWrite>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stores {
    /// Checks that a login or a refresh would succeed now: the last write to the store, and to
    /// Redis if access tokens are published there, succeeded at most two seconds ago. Makes no
    /// call.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if a write may fail.
    pub fn check_ready(&self) -> Result<()> {
        if !self.health.last_write().is_recent_success() {
            let name = self.health.name();
            return Err(StoreError::unavailable(format!(
                "{name} has accepted no write in the last two seconds"
            )));
        }
        let Some(publisher) = self.publisher.as_ref().filter(|publisher| publisher.is_required())
        else {
            return Ok(());
        };
        publisher.can_publish()?;
        if publisher.last_write().is_recent_success() {
            return Ok(());
        }
        Err(StoreError::unavailable(
            "Redis accepts no published tokens: it is full, or refuses writes (redis.publish_tokens)",
        ))
    }

    /// Returns whether the last write to the store, and to Redis if access tokens are published
    /// there, succeeded and began after `time`.
    pub fn have_written_since(&self, time: Instant) -> bool {
        let redis = self.publisher.as_ref().filter(|publisher| publisher.is_required());
        self.health.last_write().is_success_since(time)
            && redis.is_none_or(|redis| redis.last_write().is_success_since(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_recent_success_shows_that_writes_succeed() {
        let last = LastWrite::default();
        assert!(!last.is_recent_success(), "nothing was written yet");
        let before = Instant::now();
        last.record(Instant::now(), true);
        assert!(last.is_recent_success() && last.is_success_since(before));
        assert!(!last.is_success_since(Instant::now()));
        // It began earlier, and timed out after a later one had succeeded.
        last.record(before, false);
        assert!(last.is_recent_success());
        last.record(Instant::now(), false);
        assert!(!last.is_recent_success() && !last.is_success_since(before));
        let old = Instant::now().checked_sub(MAX_AGE + Duration::from_millis(1)).unwrap();
        *last.lock() = Some(CompletedWrite { started: old, ended: old, succeeded: true });
        assert!(!last.is_recent_success());
    }
}
