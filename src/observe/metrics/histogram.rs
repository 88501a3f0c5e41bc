//! Histograms of durations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in nanoseconds: from a store look-up by key to the longest wait.
const BOUNDS: [u64; 16] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
];

/// Durations, counted in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanoseconds);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

/// The sum of several histograms.
#[derive(Debug, Default)]
pub(super) struct Sum {
    buckets: [u64; BOUNDS.len() + 1],
    nanoseconds: u64,
}

impl Sum {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        let nanoseconds = histogram.nanoseconds.load(Ordering::Relaxed);
        self.nanoseconds = self.nanoseconds.wrapping_add(nanoseconds);
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds).as_secs_f64()
    }

    /// Returns each bound, in seconds, with the number of durations that do not exceed it.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut below = 0;
        BOUNDS.iter().zip(&self.buckets).map(move |(bound, bucket)| {
            below += bucket;
            (Duration::from_nanos(*bound).as_secs_f64(), below)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_counted_in_bucket_with_inclusive_upper_bound() {
        let histogram = Histogram::default();
        for nanoseconds in [0, 50_000, 50_001, 10_000_000_000, 10_000_000_001] {
            histogram.observe(Duration::from_nanos(nanoseconds));
        }
        let mut sum = Sum::default();
        sum.add(&histogram);
        sum.add(&Histogram::default());
        let cumulative: Vec<_> = sum.cumulative().collect();
        assert_eq!(cumulative[..2], [(0.000_05, 2), (0.000_1, 3)]);
        assert_eq!(cumulative.last(), Some(&(10.0, 4)));
        assert_eq!(sum.count(), 5);
        assert!((sum.seconds() - 20.000_100_002).abs() < 1e-9, "{}", sum.seconds());
    }
}
