//! Sliding-window counters of failures, for rate limits.
//!
//! The window is divided into ten buckets, so a counter has a constant size. A failure counts for
//! at least nine tenths of the window, and never for longer than the window.

use std::time::Duration;

use super::Timestamp;

/// Number of buckets (equal parts) of a sliding window.
const BUCKETS: u8 = 10;

/// A point in time, with the bucket (tenth of a sliding window) that contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Sequence number of the bucket, counted from the Unix epoch.
    pub index: i64,
    /// Length of one bucket, in milliseconds.
    length: i64,
    /// Point in time that the bucket contains.
    pub time: Timestamp,
}

impl Bucket {
    /// Returns the bucket that contains `time`, in a sliding window of the length `window`.
    pub fn at(time: Timestamp, window: Duration) -> Self {
        let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let length = (window / i64::from(BUCKETS)).max(1);
        Self { index: time.as_millis().div_euclid(length), length, time }
    }

    /// Returns the sequence number of the oldest bucket that is still in the sliding window.
    pub fn oldest(self) -> i64 {
        self.index.saturating_sub(i64::from(BUCKETS - 1))
    }

    /// Returns the length of the sliding window, after which failures no longer count.
    pub fn window(self) -> Duration {
        let millis = self.length.saturating_mul(i64::from(BUCKETS));
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Returns the time until all buckets at least `age` buckets old have left the sliding window.
    fn time_until_expired(self, age: usize) -> Duration {
        let left = i64::try_from(usize::from(BUCKETS).saturating_sub(age)).unwrap_or(0);
        let end = self.index.saturating_add(left).saturating_mul(self.length);
        Timestamp::from_millis(end).remaining(self.time)
    }
}

/// A counter of failures in a sliding window: one count for each bucket (tenth), newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowCounter {
    newest: i64,
    counts: [u32; BUCKETS as usize],
}

impl WindowCounter {
    /// Creates a counter as of `now` from pairs: a bucket (tenth of the window) and its failures.
    pub fn from_buckets(counts: impl IntoIterator<Item = (i64, u32)>, now: Bucket) -> Self {
        let mut counter = Self { newest: now.index, ..Self::default() };
        for (index, count) in counts {
            counter.add_to_bucket(index, count);
        }
        counter
    }

    /// Returns the counter as of `now`, without the failures that have left the sliding window.
    #[must_use]
    pub fn as_of(mut self, now: Bucket) -> Self {
        self.advance_to(now);
        self
    }

    /// Counts one failure at the time `now`.
    pub fn add(&mut self, now: Bucket) {
        self.advance_to(now);
        self.add_to_bucket(now.index, 1);
    }

    /// Returns the number of failures in the sliding window.
    pub fn total(&self) -> u32 {
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    /// Returns the sequence number of the newest bucket (tenth of the window), to compare counters.
    pub const fn newest(&self) -> i64 {
        self.newest
    }

    /// Returns a counter with the larger count of each bucket (tenth of the window), because `self`
    /// and `other` may each have missed failures. Both counters must be as of the same time.
    #[must_use]
    pub fn max(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = theirs.max(*mine);
        }
        self
    }

    /// Returns the time until fewer than `limit` failures are left in the sliding window.
    pub fn time_until_below(&self, limit: u32, now: Bucket) -> Duration {
        let mut left = self.total();
        for (age, count) in self.counts.iter().enumerate().rev() {
            if left < limit {
                return now.time_until_expired(age.saturating_add(1));
            }
            left = left.saturating_sub(*count);
        }
        now.time_until_expired(0)
    }

    fn advance_to(&mut self, now: Bucket) {
        let steps = usize::try_from(now.index.saturating_sub(self.newest)).unwrap_or(0);
        let steps = steps.min(self.counts.len());
        self.counts.rotate_right(steps);
        self.counts.iter_mut().take(steps).for_each(|count| *count = 0);
        self.newest = self.newest.max(now.index);
    }

    /// Adds `count` failures to the bucket with this sequence number. A bucket in the future was
    /// counted by a server whose clock is ahead, so its failures are added to the newest bucket.
    fn add_to_bucket(&mut self, index: i64, count: u32) {
        let age = self.newest.saturating_sub(index).max(0);
        if let Some(bucket) = usize::try_from(age).ok().and_then(|age| self.counts.get_mut(age)) {
            *bucket = bucket.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn at(second: i64) -> Bucket {
        Bucket::at(Timestamp::from_millis(second * 1000), WINDOW)
    }

    #[test]
    fn failure_counts_for_one_window_only() {
        let mut counter = WindowCounter::default();
        counter.add(at(0));
        counter.add(at(299));
        assert_eq!(counter.as_of(at(299)).total(), 2);
        assert_eq!(counter.as_of(at(300)).total(), 1);
        assert_eq!(counter.as_of(at(569)).total(), 1);
        assert_eq!(counter.as_of(at(570)).total(), 0);
        assert_eq!(counter.as_of(at(100_000)).total(), 0);
    }

    #[test]
    fn wait_ends_when_count_falls_below_limit() {
        let mut counter = WindowCounter::default();
        for second in [0, 0, 31, 62] {
            counter.add(at(second));
        }
        let wait = |limit| counter.as_of(at(65)).time_until_below(limit, at(65)).as_secs();
        // The buckets of the seconds 0, 31 and 62 leave the window at 300, 330 and 360.
        assert_eq!((wait(4), wait(3), wait(2), wait(1)), (235, 235, 265, 295));
    }

    proptest! {
        /// Compares the counter with a list of all failures: every failure younger than nine tenths
        /// of the window counts, and no failure older than the window does.
        #[test]
        fn sliding_window_matches_list_of_all_failures(
            mut moments in prop::collection::vec(0_i64..2_000_000, 0..60), later in 0_i64..400_000,
        ) {
            moments.sort_unstable();
            let mut counter = WindowCounter::default();
            for moment in &moments {
                counter.add(Bucket::at(Timestamp::from_millis(*moment), WINDOW));
            }
            let now = moments.last().copied().unwrap_or_default() + later;
            let bucket = Bucket::at(Timestamp::from_millis(now), WINDOW);
            let within = |age: i64| {
                let young = moments.iter().filter(|moment| now - **moment < age);
                u32::try_from(young.count()).unwrap()
            };
            let total = counter.as_of(bucket).total();
            prop_assert!(within(270_000) <= total && total <= within(300_000));
            let by_index = moments.iter().map(|moment| (moment.div_euclid(30_000), 1));
            prop_assert_eq!(WindowCounter::from_buckets(by_index, bucket), counter.as_of(bucket));
            if total > 0 {
                let wait = counter.as_of(bucket).time_until_below(total, bucket);
                let then = Bucket::at(Timestamp::from_millis(now).plus(wait), WINDOW);
                prop_assert!(counter.as_of(then).total() < total);
            }
        }
    }
}
