//! Outages that this process has seen: the grace period of used refresh tokens does not run during
//! one (RFC 9700 §4.14.2).
//!
//! A refresh that is answered 503 may have been written. Its retry gets the same tokens within the
//! grace period, but an outage can last longer, and the retry would then count as reuse and end the
//! session. Nothing is recorded about single tokens. Another process, and this one after a restart,
//! knows only the grace period (docs/faults.md).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// Maximum number of outages (periods in which refreshes were answered 503) that are remembered;
/// the longest are kept.
const MAX_OUTAGES: usize = 8;
/// Minimum time between two outages of refreshes. An outage that begins sooner continues the
/// previous one, so that a store that fails now and then does not displace the outages before it.
/// It is longer than `Retry-After` of a 503, so that an outage of which a probe notices nothing
/// lasts as long as clients retry.
const MIN_GAP: Duration = Duration::from_secs(10);

/// The periods in which refreshes were answered 503, oldest first.
#[derive(Default)]
pub(super) struct Outages(Mutex<VecDeque<Outage>>);

/// Period from the arrival of the first refresh that was answered 503 until writes succeeded again:
/// those of a grant or of a probe, to the store and, if access tokens are published, to Redis.
struct Outage {
    start: Timestamp,
    /// Time at which the outage ended; `None` while it continues.
    end: Option<Timestamp>,
    /// Time at which the last of its refreshes failed, for comparison with the times of writes.
    failed_at: Instant,
}

impl Outages {
    /// Records that a refresh that arrived at `at` was answered 503: begins or continues an outage.
    pub(super) fn begin(&self, at: Timestamp) {
        let mut outages = self.lock();
        match outages.back_mut() {
            Some(last) if last.end.is_none_or(|end| at < end.plus(MIN_GAP)) => {
                last.end = None;
                last.failed_at = Instant::now();
            }
            _ => {
                if outages.len() == MAX_OUTAGES {
                    let index = shortest(&outages);
                    outages.remove(index);
                }
                let failed_at = Instant::now();
                outages.push_back(Outage { start: at, end: None, failed_at });
            }
        }
    }

    /// Returns the time of the last failure of the current outage of refreshes, if any.
    pub(super) fn last_failure(&self) -> Option<Instant> {
        self.lock().back().filter(|last| last.end.is_none()).map(|last| last.failed_at)
    }

    /// Ends the current outage of refreshes, if any, since writes succeeded at `now`.
    pub(super) fn end(&self, now: Timestamp) {
        if let Some(last) = self.lock().back_mut() {
            last.end.get_or_insert(now);
        }
    }

    /// Returns the total duration of outages of refreshes between the times `from` and `to`.
    pub(super) fn between(&self, from: Timestamp, to: Timestamp) -> Duration {
        let outages = self.lock();
        let overlaps = outages.iter().map(|outage| {
            let end = outage.end.map_or(to, |end| end.min(to));
            end.remaining(outage.start.max(from))
        });
        overlaps.sum()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Outage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the index of the shortest outage.
fn shortest(outages: &VecDeque<Outage>) -> usize {
    let lengths = outages.iter().map(|outage| outage.end.map(|end| end.remaining(outage.start)));
    let lengths = lengths.map(|length| length.unwrap_or(Duration::MAX)).enumerate();
    lengths.min_by_key(|(_, length)| *length).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn only_the_part_of_an_outage_between_two_times_counts() {
        let outages = Outages::default();
        assert_eq!(outages.between(at(0), at(100)), Duration::ZERO);
        outages.begin(at(10));
        outages.begin(at(12));
        // It continues until a write succeeds.
        assert_eq!(outages.between(at(0), at(100)).as_secs(), 90);
        outages.end(at(30));
        outages.end(at(40));
        for (from, to, seconds) in
            [(0, 100, 20), (0, 15, 5), (15, 100, 15), (15, 20, 5), (30, 90, 0), (0, 10, 0)]
        {
            assert_eq!(outages.between(at(from), at(to)).as_secs(), seconds, "{from} to {to}");
        }
        outages.begin(at(50));
        outages.end(at(55));
        assert_eq!(outages.between(at(0), at(100)).as_secs(), 25);
    }

    #[test]
    fn failures_in_quick_succession_are_one_outage() {
        let outages = Outages::default();
        outages.begin(at(10));
        for tenth in 0..1000 {
            let now = Timestamp::from_millis(10_000 + tenth * 100);
            outages.begin(now);
            outages.end(now);
        }
        assert_eq!(outages.lock().len(), 1);
        assert_eq!(outages.between(at(0), at(1000)).as_millis(), 99_900);
    }

    #[test]
    fn the_longest_outages_are_remembered() {
        let outages = Outages::default();
        outages.begin(at(-900));
        outages.end(at(-100));
        for start in 0..100 {
            outages.begin(at(start * 20));
            outages.end(at(start * 20 + 5));
        }
        assert_eq!(outages.lock().len(), MAX_OUTAGES);
        assert_eq!(outages.between(at(0), at(10_000)).as_secs(), 5 * (MAX_OUTAGES as u64 - 1));
        assert_eq!(outages.between(at(-1000), at(-50)).as_secs(), 800);
        assert_eq!(outages.between(at(1980), at(10_000)).as_secs(), 5);
    }
}
