//! Concurrency limit for calls to MongoDB, with a count of the calls that wait.
//!
//! The driver queues any number of calls for its connections. The queue entry of a call that timed
//! out remains until the state of the pool changes, and then entries are freed one at a time. After
//! MongoDB had stalled for some seconds with hundreds of queued calls, all later calls were queued
//! behind those entries and timed out as well, although MongoDB answered again. So calls wait for a
//! permit here. They reach the driver only when a connection should be free and enough time is
//! left. While MongoDB does not answer, one call at a time is sent, to detect its recovery.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Maximum number of unanswered calls to MongoDB, sent or waiting, before new look-ups are
/// rejected. If MongoDB stalls, all these calls wait until they time out.
const MAX_UNANSWERED: usize = 4096;
/// Number of permits (maximum of concurrent calls) if the connections to MongoDB are unlimited.
const UNLIMITED_PERMITS: usize = 1000;

/// Limit of the concurrent calls of one process to MongoDB.
pub(super) struct ConcurrencyLimit {
    permits: Semaphore,
    /// Total number of permits: maximum number of concurrent calls to MongoDB.
    all: usize,
    /// Number of permits of timed-out or cancelled calls, withheld until MongoDB answers a call.
    withheld: AtomicUsize,
    unanswered: AtomicUsize,
}

impl ConcurrencyLimit {
    /// Creates a limit of `connections` concurrent calls to MongoDB; 0 selects
    /// [`UNLIMITED_PERMITS`].
    pub(super) fn new(connections: u32) -> Self {
        let all = if connections == 0 { UNLIMITED_PERMITS } else { connections as usize };
        Self {
            permits: Semaphore::new(all),
            all,
            withheld: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
        }
    }

    /// Returns whether fewer calls to MongoDB are unanswered than [`MAX_UNANSWERED`].
    pub(super) fn has_capacity(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) < MAX_UNANSWERED
    }

    /// Waits for a permit (for one of the concurrent calls) and runs `call`. Returns the output of
    /// `call`, or `None` if the wait and the call together take longer than `limit`.
    pub(super) async fn run<T>(&self, limit: Duration, call: impl Future<Output = T>) -> Option<T> {
        let _unanswered = Unanswered::count(&self.unanswered);
        let started = Instant::now();
        // A call that starts with too little time left would only time out after it was sent.
        let in_time = started + limit - limit / 8;
        let permit = timeout_at(in_time, self.permits.acquire()).await.ok()?.ok()?;
        let permit = CallPermit { of: self, permit: Some(permit) };
        let answer = timeout_at(started + limit, call).await.ok()?;
        permit.answered();
        Some(answer)
    }

    /// Counts the permit of a timed-out or cancelled call as withheld until MongoDB answers a call.
    /// Returns whether the permit is to be withheld; the last one never is.
    fn withhold(&self) -> bool {
        let more = |withheld| (withheld + 1 < self.all).then_some(withheld + 1);
        self.withheld.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// Permit to run one call to MongoDB. The permit is withheld if the call times out or is cancelled.
struct CallPermit<'a> {
    of: &'a ConcurrencyLimit,
    permit: Option<SemaphorePermit<'a>>,
}

impl CallPermit<'_> {
    /// Releases the permit of this call and all withheld permits, because MongoDB has answered.
    fn answered(mut self) {
        drop(self.permit.take());
        self.of.permits.add_permits(self.of.withheld.swap(0, Ordering::Relaxed));
    }
}

impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && self.of.withhold()
        {
            permit.forget();
        }
    }
}

/// Guard that counts a call to MongoDB as unanswered until the call is answered, times out or is
/// cancelled.
struct Unanswered<'a>(&'a AtomicUsize);

impl<'a> Unanswered<'a> {
    fn count(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use futures_util::future::join_all;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(4);

    #[tokio::test(start_paused = true)]
    async fn hanging_server_gets_one_call_at_a_time_until_it_answers() {
        let limit = ConcurrencyLimit::new(10);
        let sent = Cell::new(0);
        let hanging = || {
            limit.run(LIMIT, async {
                sent.set(sent.get() + 1);
                pending::<()>().await;
            })
        };
        let answers = join_all((0..500).map(|_| hanging())).await;
        assert!(answers.iter().all(Option::is_none));
        assert_eq!(sent.get(), 10, "waiting calls are not sent when the sent ones time out");
        assert!(join_all((0..500).map(|_| hanging())).await.iter().all(Option::is_none));
        assert_eq!(sent.get(), 11);

        assert_eq!(limit.run(LIMIT, ready(7)).await, Some(7));
        join_all((0..500).map(|_| hanging())).await;
        assert_eq!(sent.get(), 21);
    }

    #[tokio::test(start_paused = true)]
    async fn capacity_is_exhausted_while_too_many_calls_wait() {
        let limit = ConcurrencyLimit::new(0);
        let waiting = join_all((0..MAX_UNANSWERED).map(|_| limit.run(LIMIT, pending::<()>())));
        let looking = async {
            tokio::time::sleep(LIMIT / 4).await;
            limit.has_capacity()
        };
        let (_, had_capacity) = tokio::join!(waiting, looking);
        assert!(!had_capacity);
        assert!(limit.has_capacity());
    }
}
