//! Counters of failed attempts for rate limiting: the trait, and the implementation in memory.
//! `redis::rate_limit_store` has the implementation that servers share over Redis.
//!
//! No method that an attempt calls fails or waits for long, since a fault of the counter storage
//! must not delay logins.
//! `rate_limit` decides what the counts mean.

mod bounded_map;
mod memory;

use std::time::Duration;

use async_trait::async_trait;

pub(crate) use bounded_map::BoundedMap;
pub use memory::MemoryRateLimitStore;

use super::StoreError;
use crate::domain::{Bucket, RateLimitKey, WindowCounter};

/// Storage of counters of failed authentication attempts.
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

    /// Deletes the counters of these rate limit keys, or all counters if `keys` is `None`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if counters that servers share could not be deleted.
    async fn clear(&self, keys: Option<&[RateLimitKey]>) -> Result<(), StoreError>;
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
