//! Counters of failed attempts in the memory of the process.

use std::time::Duration;

use async_trait::async_trait;

use super::bounded_map::BoundedMap;
use super::{AddResult, RateLimitStore};
use crate::domain::{Bucket, RateLimitKey, RateLimitKeyKind, Timestamp, WindowCounter};
use crate::store::StoreError;

/// Rate limit counters in memory: at most 32,768 of each kind of key, about 12 MB in total.
///
/// Counters with the fewest failed attempts are evicted first. To evict a counter at its limit, an
/// attacker would have to raise all other counters of its hash bucket to the limit. An attacker
/// cannot choose the bucket of a key, so this takes more failures than the eviction gains.
pub struct MemoryRateLimitStore {
    addresses: BoundedMap<Failures>,
    refused: BoundedMap<Failures>,
    names: BoundedMap<Failures>,
    networks: BoundedMap<Failures>,
    known_devices: BoundedMap<Failures>,
}

#[derive(Clone, Copy, Default)]
struct Failures {
    counter: WindowCounter,
    /// Earliest time of the next authentication attempt on the rate limit key.
    next: Timestamp,
    /// Time at which `next` was set. This time is in the future if the clock was set back since.
    reserved_at: Timestamp,
}

impl MemoryRateLimitStore {
    /// Maximum number of counters of each kind of rate limit key.
    pub const CAPACITY: usize = BoundedMap::<Failures>::CAPACITY;

    /// Creates a store without any counters.
    pub fn new() -> Self {
        Self {
            addresses: BoundedMap::new(),
            refused: BoundedMap::new(),
            names: BoundedMap::new(),
            networks: BoundedMap::new(),
            known_devices: BoundedMap::new(),
        }
    }

    /// Returns the number of counters of this kind of rate limit key.
    pub fn len(&self, kind: RateLimitKeyKind) -> usize {
        self.map(kind).len()
    }

    const fn map(&self, kind: RateLimitKeyKind) -> &BoundedMap<Failures> {
        match kind {
            RateLimitKeyKind::Address => &self.addresses,
            RateLimitKeyKind::RefusedAddress => &self.refused,
            RateLimitKeyKind::Network => &self.networks,
            RateLimitKeyKind::KnownDevice => &self.known_devices,
            RateLimitKeyKind::Name | RateLimitKeyKind::RepeatedGuess => &self.names,
        }
    }

    fn update<T>(
        &self,
        key: &RateLimitKey,
        now: Bucket,
        update: impl FnOnce(&mut Failures) -> T,
    ) -> T {
        let eviction_priority = |failures: &Failures| {
            let counter = failures.counter.as_of(now);
            (counter.total(), failures.counter.newest())
        };
        self.map(key.kind()).update(key, Failures::default(), eviction_priority, update)
    }

    pub(in crate::store) fn recent_of(&self, key: &RateLimitKey, now: Bucket) -> WindowCounter {
        let failures = self.map(key.kind()).get(key);
        failures.map(|failures| failures.counter).unwrap_or_default().as_of(now)
    }
}

impl Default for MemoryRateLimitStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl RateLimitStore for MemoryRateLimitStore {
    async fn recent(&self, keys: &[RateLimitKey], now: Bucket) -> Vec<WindowCounter> {
        keys.iter().map(|key| self.recent_of(key, now)).collect()
    }

    async fn add(&self, key: RateLimitKey, limit: u32, now: Bucket) -> AddResult {
        self.update(&key, now, |failures| {
            let counted = failures.counter.as_of(now).total() < limit;
            if counted {
                failures.counter.add(now);
            }
            AddResult { counted, counter: failures.counter.as_of(now) }
        })
    }

    async fn reserve(
        &self,
        key: RateLimitKey,
        pause: Duration,
        max_wait: Duration,
        now: Bucket,
    ) -> Option<Duration> {
        self.update(&key, now, |failures| {
            let wait = failures.next.remaining(failures.reserved_at.max(now.time));
            let reserved = wait <= max_wait;
            failures.next = now.time.plus(wait).plus(if reserved { pause } else { Duration::ZERO });
            failures.reserved_at = now.time;
            reserved.then_some(wait)
        })
    }

    async fn clear(&self, keys: Option<&[RateLimitKey]>) -> Result<(), StoreError> {
        match keys {
            Some(keys) => keys.iter().for_each(|key| self.map(key.kind()).remove(key)),
            None => RateLimitKeyKind::COUNTED.iter().for_each(|kind| self.map(*kind).clear()),
        }
        Ok(())
    }
}
