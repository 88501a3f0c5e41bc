//! Counters of failed attempts, for the throttle: a trait, and the counters in memory. Those that are
//! shared over Redis are in `redis::attempts`.
//!
//! Counting never fails and waits for nobody for long: who is slowed by it should not be slowed by its
//! troubles. What the counts mean is decided in `oauth::Throttle`.

mod memory;
mod table;

use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryAttempts;

use crate::domain::{Slice, Subject, Tally};

/// Counts failed attempts, and remembers who has got in.
#[async_trait]
pub trait AttemptStore: Send + Sync {
    /// The failures of each of these subjects that count now.
    async fn recent(&self, subjects: &[Subject], at: Slice) -> Vec<Tally>;

    /// Counts a failure, unless there are `limit` already, in one step: of many at once, only so many
    /// are counted as are left.
    async fn add(&self, subject: Subject, limit: u32, at: Slice) -> Added;

    /// The next free moment for an attempt on a subject, as the time from now until then; there is none
    /// for anybody else within `pause` after it. `None`, and nothing is taken, when it is more than
    /// `patience` away. Who calls with a clock that is behind is not kept waiting for that.
    async fn reserve(
        &self,
        subject: Subject,
        pause: Duration,
        patience: Duration,
        at: Slice,
    ) -> Option<Duration>;

    /// Remembers somebody who has got in, for a time.
    async fn remember(&self, subject: Subject, time: Duration, at: Slice);

    /// Whether somebody is remembered.
    async fn is_remembered(&self, subject: Subject, at: Slice) -> bool;
}

/// What became of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Whether it was counted.
    pub counted: bool,
    /// The failures that count now, this one too.
    pub tally: Tally,
}
