//! Counters of failed attempts for rate limiting: the trait, and the implementation in memory.
//! `redis::rate_limit_store` has the implementation that servers share over Redis.
//!
//! No method fails or waits for long, since a fault of the counter storage must not delay logins.
//! `rate_limit` decides what the counts mean.

mod bounded_map;
mod memory;

use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryRateLimitStore;

use crate::domain::{Bucket, RateLimitKey, WindowCounter};

/// Storage of failed attempts and known devices.
#[async_trait]
pub trait RateLimitStore: Send + Sync {
    /// Returns the failures of each key in the current window, in the order of `keys`.
    async fn recent(&self, keys: &[RateLimitKey], now: Bucket) -> Vec<WindowCounter>;

    /// Counts a failure, unless the key already has `limit` failures in the window. The check and
    /// the increment are one atomic step, so concurrent failures do not exceed the limit.
    async fn add(&self, key: RateLimitKey, limit: u32, now: Bucket) -> AddResult;

    /// Reserves the next free time for an attempt on a key, and returns the time from now until
    /// then. The next reservation is at least `pause` later. Returns `None`, and reserves nothing,
    /// if the wait would exceed `max_wait`. A caller whose clock is behind does not wait longer for
    /// that reason.
    async fn reserve(
        &self,
        key: RateLimitKey,
        pause: Duration,
        max_wait: Duration,
        now: Bucket,
    ) -> Option<Duration>;

    /// Remembers a known device for `ttl`.
    async fn remember_device(&self, key: RateLimitKey, ttl: Duration, now: Bucket);

    /// Returns whether the key is that of a known device.
    async fn is_known_device(&self, key: RateLimitKey, now: Bucket) -> bool;
}

/// Result of [`RateLimitStore::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddResult {
    /// Whether the failure was counted.
    pub counted: bool,
    /// Failures in the current window, including this one if it was counted.
    pub counter: WindowCounter,
}
