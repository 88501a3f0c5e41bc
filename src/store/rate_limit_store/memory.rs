//! Counters of failed attempts in the memory of the process.

use std::time::Duration;

use async_trait::async_trait;

use super::bounded_map::BoundedMap;
use super::{AddResult, RateLimitStore};
use crate::domain::{Bucket, RateLimitKey, RateLimitKeyKind, Timestamp, WindowCounter};

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
    /// Known devices (pairs of user and address), each with the time until which it is remembered.
    known_devices: BoundedMap<Timestamp>,
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
    /// Maximum number of counters of each kind of rate limit key, and of remembered known devices.
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

    /// Returns the number of counters of this kind of rate limit key. For known devices (pairs of
    /// user and address), returns the number of remembered devices.
    pub fn len(&self, kind: RateLimitKeyKind) -> usize {
        match kind {
            RateLimitKeyKind::Address => self.addresses.len(),
            RateLimitKeyKind::RefusedAddress => self.refused.len(),
            RateLimitKeyKind::Name => self.names.len(),
            RateLimitKeyKind::Network => self.networks.len(),
            RateLimitKeyKind::KnownDevice => self.known_devices.len(),
        }
    }

    fn map(&self, key: &RateLimitKey) -> &BoundedMap<Failures> {
        match key.kind() {
            RateLimitKeyKind::Address => &self.addresses,
            RateLimitKeyKind::RefusedAddress => &self.refused,
            RateLimitKeyKind::Network => &self.networks,
            RateLimitKeyKind::Name | RateLimitKeyKind::KnownDevice => &self.names,
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
        self.map(key).update(key, Failures::default(), eviction_priority, update)
    }

    pub(in crate::store) fn recent_of(&self, key: &RateLimitKey, now: Bucket) -> WindowCounter {
        let failures = self.map(key).get(key);
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

    async fn remember_device(&self, key: RateLimitKey, ttl: Duration, now: Bucket) {
        let until = now.time.plus(ttl);
        self.known_devices.update(&key, until, |until| *until, |known| *known = until);
    }

    async fn is_known_device(&self, key: RateLimitKey, now: Bucket) -> bool {
        self.known_devices.get(&key).is_some_and(|until| until > now.time)
    }
}
