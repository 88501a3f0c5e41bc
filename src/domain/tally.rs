//! Failures of the recent past: how many there are, and when there will be fewer.
//!
//! A window slides in ten steps, so that what is kept is ten numbers, however many failures there are. A
//! failure counts for at least nine tenths of the window, and never for longer than the window.

use std::time::Duration;

use super::Timestamp;

/// Steps in a window.
pub const SLICES: usize = 10;

/// A moment, and the step of a sliding window that it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Steps are numbered from the Unix epoch on.
    pub index: i64,
    /// How long a step is, in milliseconds.
    length: i64,
    /// The moment itself.
    pub now: Timestamp,
}

impl Slice {
    /// The step in which `now` lies.
    pub fn at(now: Timestamp, window: Duration) -> Self {
        let steps = i64::try_from(SLICES).unwrap_or(1);
        let length = (i64::try_from(window.as_millis()).unwrap_or(i64::MAX) / steps).max(1);
        Self { index: now.as_millis().div_euclid(length), length, now }
    }

    /// The oldest step whose failures still count.
    pub fn oldest(self) -> i64 {
        let steps = i64::try_from(SLICES).unwrap_or(1);
        self.index.saturating_sub(steps - 1)
    }

    /// After this time nothing counts any more that counts now.
    pub fn window(self) -> Duration {
        let steps = i64::try_from(SLICES).unwrap_or(1);
        Duration::from_millis(u64::try_from(self.length.saturating_mul(steps)).unwrap_or(0))
    }

    /// How long until the steps up to `age` steps ago no longer count.
    fn until_over(self, age: usize) -> Duration {
        let left = i64::try_from(SLICES.saturating_sub(age)).unwrap_or(0);
        let end = self.index.saturating_add(left).saturating_mul(self.length);
        Timestamp::from_millis(end).remaining(self.now)
    }
}

/// Failures by age, the latest step first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    newest: i64,
    counts: [u32; SLICES],
}

impl Tally {
    /// Of counts by the index of their step.
    pub fn of(counts: impl IntoIterator<Item = (i64, u32)>, at: Slice) -> Self {
        let mut tally = Self { newest: at.index, counts: [0; SLICES] };
        for (index, count) in counts {
            tally.put(index, count);
        }
        tally
    }

    /// What still counts.
    #[must_use]
    pub fn at(mut self, at: Slice) -> Self {
        self.age(at);
        self
    }

    /// One more failure.
    pub fn add(&mut self, at: Slice) {
        self.age(at);
        self.put(at.index, 1);
    }

    /// How many there are.
    pub fn total(&self) -> u32 {
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    /// The step of the latest failure, to tell what is old from what is not.
    pub const fn newest(&self) -> i64 {
        self.newest
    }

    /// What both have seen, where each may have missed some. Both are of the same moment.
    #[must_use]
    pub fn max(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = theirs.max(*mine);
        }
        self
    }

    /// How long until there are fewer than `limit`.
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

    /// What lies ahead was counted by somebody whose clock is ahead: it is as good as new.
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
    fn a_failure_counts_for_the_window_and_no_longer() {
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
    fn the_wait_ends_when_there_are_fewer() {
        let mut tally = Tally::default();
        for second in [0, 0, 31, 62] {
            tally.add(at(second));
        }
        let wait = |limit| tally.at(at(65)).until_below(limit, at(65)).as_secs();
        // The steps of 0, 31 and 62 are over at 300, 330 and 360.
        assert_eq!((wait(4), wait(3), wait(2), wait(1)), (235, 235, 265, 295));
    }

    proptest! {
        /// Against a list of all moments: nothing that is younger than nine tenths of the window is
        /// missed, and nothing that is older than the window is counted.
        #[test]
        fn ten_numbers_are_as_good_as_a_list(
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
