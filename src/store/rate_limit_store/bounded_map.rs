//! Hash map of bounded size.
//!
//! Each key belongs to one of 4096 buckets with room for eight entries. A full bucket evicts the
//! entry with the lowest eviction priority, which the caller defines. So a flood of new keys evicts
//! other new keys, and not the counters with many failures. The hash has a random key per process,
//! so that an attacker cannot choose keys that share a bucket with a given key. A count-min sketch
//! would be smaller, but it overcounts when it is full, and would limit unrelated clients because
//! of the flood.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::RateLimitKey;

const BUCKETS: usize = 4096;
const BUCKET_CAPACITY: usize = 8;

type Entries<V> = Vec<(RateLimitKey, V)>;

/// Hash map of bounded size with rate limit keys. The map allocates memory as it fills.
pub(crate) struct BoundedMap<V> {
    random: RandomState,
    buckets: Vec<Mutex<Entries<V>>>,
}

impl<V: Copy> BoundedMap<V> {
    /// Maximum number of entries in the map.
    pub(super) const CAPACITY: usize = BUCKETS * BUCKET_CAPACITY;

    pub(crate) fn new() -> Self {
        let buckets = std::iter::repeat_with(Mutex::default).take(BUCKETS).collect();
        Self { random: RandomState::new(), buckets }
    }

    pub(crate) fn get(&self, key: &RateLimitKey) -> Option<V> {
        let entries = self.bucket(key)?;
        entries.iter().find(|(other, _)| other == key).map(|(_, value)| *value)
    }

    /// Applies `update` to the value of `key`, or to `new` if `key` has no value yet, in one atomic
    /// step, and returns the result of `update`. If the key's hash bucket is full, a new entry
    /// evicts the bucket's entry with the lowest `eviction_priority`.
    pub(crate) fn update<T, P: Ord>(
        &self,
        key: &RateLimitKey,
        new: V,
        eviction_priority: impl Fn(&V) -> P,
        update: impl FnOnce(&mut V) -> T,
    ) -> T {
        let mut value = new;
        let Some(mut entries) = self.bucket(key) else { return update(&mut value) };
        if let Some((_, value)) = entries.iter_mut().find(|(other, _)| other == key) {
            return update(value);
        }
        let result = update(&mut value);
        if entries.len() < BUCKET_CAPACITY {
            entries.push((*key, value));
        } else if let Some(evicted) =
            entries.iter_mut().min_by_key(|(_, value)| eviction_priority(value))
        {
            *evicted = (*key, value);
        }
        result
    }

    /// Removes the entry of `key`, if there is one.
    pub(crate) fn remove(&self, key: &RateLimitKey) {
        if let Some(mut entries) = self.bucket(key) {
            entries.retain(|(other, _)| other != key);
        }
    }

    /// Removes all entries.
    pub(super) fn clear(&self) {
        self.buckets.iter().for_each(|bucket| lock(bucket).clear());
    }

    /// Returns the number of entries in the map.
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| lock(bucket).len()).sum()
    }

    fn bucket(&self, key: &RateLimitKey) -> Option<MutexGuard<'_, Entries<V>>> {
        let hash = usize::try_from(self.random.hash_one(key) % BUCKETS as u64).ok()?;
        self.buckets.get(hash).map(lock)
    }
}

fn lock<V>(bucket: &Mutex<Entries<V>>) -> MutexGuard<'_, Entries<V>> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}
