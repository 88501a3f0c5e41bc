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

/// Storage of counters of failed authentication attempts, and of known devices (pairs of user and
/// address with an earlier successful login).
#[async_trait]
pub trait RateLimitStore: Send + Sync {
    /// Returns the counters of failed authentication attempts of the rate limit keys `keys`, in the
    /// same order, for the sliding window that ends with the bucket (tenth of a window) `now`.
    async fn recent(&self, keys: &[RateLimitKey], now: Bucket) -> Vec<WindowCounter>;

    /// Counts a failed authentication attempt on a rate limit key, unless the key already has
    /// `limit` failed attempts in the sliding window. The check and the increment are one atomic
    /// step, so concurrent failures do not exceed the limit.
    async fn add(&self, key: RateLimitKey, limit: u32, now: Bucket) -> AddResult;

    /// Reserves the next free time for an authentication attempt on a rate limit key, and returns
    /// the wait from now until that time. The next reservation for the key is at least `pause`
    /// later. Returns `None`, and reserves nothing, if the wait would exceed `max_wait`. A caller
    /// whose clock is behind does not wait longer for that reason.
    async fn reserve(
        &self,
        key: RateLimitKey,
        pause: Duration,
        max_wait: Duration,
        now: Bucket,
    ) -> Option<Duration>;

    /// Remembers the known device (pair of user and address) of `key` for the duration `ttl`.
    async fn remember_device(&self, key: RateLimitKey, ttl: Duration, now: Bucket);

    /// Returns whether `key` is that of a known device (pair of user and address with an earlier
    /// successful login).
    async fn is_known_device(&self, key: RateLimitKey, now: Bucket) -> bool;
}

/// Result of counting a failed authentication attempt with [`RateLimitStore::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddResult {
    /// Whether the failed attempt was counted: not if its rate limit key had reached the limit.
    pub counted: bool,
    /// Counter of the rate limit key's failed attempts in the current sliding window, including
    /// this attempt if it was counted.
    pub counter: WindowCounter,
}
