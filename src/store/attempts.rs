//! Counters of failed attempts for rate limiting: the trait, and the implementation in memory.
//! `redis::attempts` has the implementation that servers share over Redis.
//!
//! No method fails or waits for long, since a fault of the counter storage must not delay logins.
//! `oauth::Throttle` decides what the counts mean.

mod memory;
mod table;

use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryAttempts;

use crate::domain::{Slice, Subject, Tally};

/// Storage of failed attempts and known devices.
#[async_trait]
pub trait AttemptStore: Send + Sync {
    /// Returns the failures of each subject in the current window, in the order of `subjects`.
    async fn recent(&self, subjects: &[Subject], at: Slice) -> Vec<Tally>;

    /// Counts a failure, unless the subject already has `limit` failures in the window. The check
    /// and the increment are one atomic step, so concurrent failures do not exceed the limit.
    async fn add(&self, subject: Subject, limit: u32, at: Slice) -> Added;

    /// Reserves the next free time for an attempt on a subject, and returns the time from now until
    /// then. The next reservation is at least `pause` later. Returns `None`, and reserves nothing,
    /// if the wait would exceed `patience`. A caller whose clock is behind does not wait longer for
    /// that reason.
    async fn reserve(
        &self,
        subject: Subject,
        pause: Duration,
        patience: Duration,
        at: Slice,
    ) -> Option<Duration>;

    /// Remembers a known device for `time`.
    async fn remember(&self, subject: Subject, time: Duration, at: Slice);

    /// Returns whether the subject is a known device.
    async fn is_remembered(&self, subject: Subject, at: Slice) -> bool;
}

/// Result of [`AttemptStore::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Whether the failure was counted.
    pub counted: bool,
    /// Failures in the current window, including this one if it was counted.
    pub tally: Tally,
}
