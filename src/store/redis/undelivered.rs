//! Whether cache entries may be stale, because an invalidation is undelivered. While they may be,
//! this process reads no cached data.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts failed Redis invalidations (removals of stale copies), and those of them that a later
/// delivery of all pending invalidations has tried again.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    failures: AtomicU64,
    /// Value of `failures` when the last delivery that tried all pending invalidations began.
    covered: AtomicU64,
}

impl Undelivered {
    /// Returns whether a Redis invalidation has failed since the beginning of the last delivery
    /// that tried all pending invalidations, so that the Redis cache may be stale.
    pub(super) fn is_any(&self) -> bool {
        self.failures.load(Ordering::Acquire) != self.covered.load(Ordering::Acquire)
    }

    /// Records that a Redis invalidation (removal of stale copies) failed.
    pub(super) fn record_failure(&self) {
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the number of failed Redis invalidations as a delivery begins, for
    /// [`Self::complete`].
    pub(super) fn begin(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Records that a delivery has tried all pending Redis invalidations; `begun` is the value of
    /// [`Self::begin`] at the beginning of the delivery.
    pub(super) fn complete(&self, begun: u64) {
        self.covered.fetch_max(begun, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_covers_only_failures_before_it_began() {
        let undelivered = Undelivered::default();
        assert!(!undelivered.is_any());
        undelivered.record_failure();
        let begun = undelivered.begin();
        undelivered.record_failure();
        undelivered.complete(begun);
        assert!(undelivered.is_any());
        undelivered.complete(undelivered.begin());
        assert!(!undelivered.is_any());
        // A delivery that began earlier and ends later changes nothing.
        undelivered.complete(begun);
        assert!(!undelivered.is_any());
    }
}
