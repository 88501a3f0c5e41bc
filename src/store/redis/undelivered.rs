//! Whether cache entries may be stale, because an invalidation is undelivered. While they may be,
//! this process reads no cached data.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts failed invalidations, and those that a later delivery of the whole outbox has covered.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    failures: AtomicU64,
    /// Value of `failures` when the last complete delivery began.
    covered: AtomicU64,
}

impl Undelivered {
    /// Returns whether an invalidation failed after the last complete delivery had begun.
    pub(super) fn is_any(&self) -> bool {
        self.failures.load(Ordering::Acquire) != self.covered.load(Ordering::Acquire)
    }

    /// Records that an invalidation failed.
    pub(super) fn record_failure(&self) {
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// Marks the beginning of a delivery. Returns the value for [`Self::complete`].
    pub(super) fn begin(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Records that a delivery of the whole outbox has succeeded.
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
