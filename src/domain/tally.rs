//! Sliding-window counters of failures, for rate limits.
//!
//! The window is divided into ten buckets, so a counter has a constant size. A failure counts for
//! at least nine tenths of the window, and never for longer than the window.

use std::time::Duration;

use super::Timestamp;

/// Number of buckets in a window.
pub const SLICES: usize = 10;

/// A point in time, with the bucket of the sliding window that contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Number of the bucket, counted from the Unix epoch.
    pub index: i64,
    /// Length of a bucket, in milliseconds.
    length: i64,
    /// The point in time.
    pub now: Timestamp,
}

impl Slice {
    /// Returns the bucket that contains `now`, for a window of this length.
    pub fn at(now: Timestamp, window: Duration) -> Self {
        let steps = i64::try_from(SLICES).unwrap_or(1);
        let length = (i64::try_from(window.as_millis()).unwrap_or(i64::MAX) / steps).max(1);
        Self { index: now.as_millis().div_euclid(length), length, now }
    }

    /// Returns the number of the oldest bucket that is still in the window.
    pub fn oldest(self) -> i64 {
        let steps = i64::try_from(SLICES).unwrap_or(1);
        self.index.saturating_sub(steps - 1)
    }

    /// Returns the length of the window. Nothing that counts now counts after this time.
    pub fn window(self) -> Duration {
        let steps = i64::try_from(SLICES).unwrap_or(1);
        Duration::from_millis(u64::try_from(self.length.saturating_mul(steps)).unwrap_or(0))
    }

    /// Returns the time until all buckets that are `age` or more buckets old have left the window.
    fn until_over(self, age: usize) -> Duration {
        let left = i64::try_from(SLICES.saturating_sub(age)).unwrap_or(0);
        let end = self.index.saturating_add(left).saturating_mul(self.length);
        Timestamp::from_millis(end).remaining(self.now)
    }
}

/// A counter of failures: the count of each bucket, newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    newest: i64,
    counts: [u32; SLICES],
}

impl Tally {
    /// Creates a counter from the counts of numbered buckets, as of `at`.
    pub fn of(counts: impl IntoIterator<Item = (i64, u32)>, at: Slice) -> Self {
        let mut tally = Self { newest: at.index, counts: [0; SLICES] };
        for (index, count) in counts {
            tally.put(index, count);
        }
        tally
    }

    /// Returns the counter as of `at`, without the failures that have left the window.
    #[must_use]
    pub fn at(mut self, at: Slice) -> Self {
        self.age(at);
        self
    }

    /// Counts one failure at `at`.
    pub fn add(&mut self, at: Slice) {
        self.age(at);
        self.put(at.index, 1);
    }

    /// Returns the number of failures in the window.
    pub fn total(&self) -> u32 {
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    /// Returns the number of the newest bucket, for comparing the age of counters.
    pub const fn newest(&self) -> i64 {
        self.newest
    }

    /// Returns the larger count of each bucket, because either counter may have missed failures.
    /// Both counters must be as of the same time.
    #[must_use]
    pub fn max(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = theirs.max(*mine);
        }
        self
    }

    /// Returns the time until fewer than `limit` failures count.
    pub fn until_below(&self, limit: u32, at: Slice) -> Duration {
        let mut left = self.total();
        for (age, count) in self.counts.iter().enumerate().rev() {
            if left < limit {
                return at.until_over(age.saturating_add(1));
            }
            left = left.saturating_sub(*count);
        }
        at.until_over(0)
    }

    fn age(&mut self, at: Slice) {
        let steps = usize::try_from(at.index.saturating_sub(self.newest)).unwrap_or(0).min(SLICES);
        self.counts.rotate_right(steps);
        self.counts.iter_mut().take(steps).for_each(|count| *count = 0);
        self.newest = self.newest.max(at.index);
    }

    /// Adds to a bucket. A bucket in the future was counted by a server whose clock is ahead, so it
    /// is treated as the newest.
    fn put(&mut self, index: i64, count: u32) {
        let age = usize::try_from(self.newest.saturating_sub(index).max(0)).unwrap_or(SLICES);
        if let Some(of_age) = self.counts.get_mut(age) {
            *of_age = of_age.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn at(second: i64) -> Slice {
        Slice::at(Timestamp::from_millis(second * 1000), WINDOW)
    }

    #[test]
    fn failure_counts_for_one_window_only() {
        let mut tally = Tally::default();
        tally.add(at(0));
        tally.add(at(299));
        assert_eq!(tally.at(at(299)).total(), 2);
        assert_eq!(tally.at(at(300)).total(), 1);
        assert_eq!(tally.at(at(569)).total(), 1);
        assert_eq!(tally.at(at(570)).total(), 0);
        assert_eq!(tally.at(at(100_000)).total(), 0);
    }

    #[test]
    fn wait_ends_when_count_falls_below_limit() {
        let mut tally = Tally::default();
        for second in [0, 0, 31, 62] {
            tally.add(at(second));
        }
        let wait = |limit| tally.at(at(65)).until_below(limit, at(65)).as_secs();
        // The buckets of the seconds 0, 31 and 62 leave the window at 300, 330 and 360.
        assert_eq!((wait(4), wait(3), wait(2), wait(1)), (235, 235, 265, 295));
    }

    proptest! {
        /// Compares the counter with a list of all failures: each one younger than nine tenths of
        /// the window counts, and none older than the window does.
        #[test]
        fn sliding_window_matches_list_of_all_failures(
            mut moments in prop::collection::vec(0_i64..2_000_000, 0..60), later in 0_i64..400_000,
        ) {
            moments.sort_unstable();
            let mut tally = Tally::default();
            for moment in &moments {
                tally.add(Slice::at(Timestamp::from_millis(*moment), WINDOW));
            }
            let now = moments.last().copied().unwrap_or_default() + later;
            let slice = Slice::at(Timestamp::from_millis(now), WINDOW);
            let within = |age: i64| {
                let young = moments.iter().filter(|moment| now - **moment < age);
                u32::try_from(young.count()).unwrap()
            };
            let total = tally.at(slice).total();
            prop_assert!(within(270_000) <= total && total <= within(300_000));
            let by_index = moments.iter().map(|moment| (moment.div_euclid(30_000), 1));
            prop_assert_eq!(Tally::of(by_index, slice), tally.at(slice));
            if total > 0 {
                let wait = tally.at(slice).until_below(total, slice);
                let then = Slice::at(Timestamp::from_millis(now).plus(wait), WINDOW);
                prop_assert!(tally.at(then).total() < total);
            }
        }
    }
}
