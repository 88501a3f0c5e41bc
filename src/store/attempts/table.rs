//! Hash table of bounded size.
//!
//! Each key belongs to one of 4096 buckets with room for eight entries. A full bucket evicts the
//! entry with the least worth, which the caller defines. So a flood of new keys evicts other new
//! keys, and not the counters with many failures. The hash has a random key per process, so that an
//! attacker cannot choose keys that share a bucket with a given key. A count-min sketch would be
//! smaller, but it overcounts when it is full, and would limit unrelated clients because of the
//! flood.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::Subject;

const BUCKETS: usize = 4096;
const WAYS: usize = 8;

type Bucket<V> = Vec<(Subject, V)>;

/// Hash table of bounded size. It allocates memory as it fills.
pub(super) struct Table<V> {
    random: RandomState,
    buckets: Vec<Mutex<Bucket<V>>>,
}

impl<V: Copy> Table<V> {
    /// Maximum number of entries.
    pub(super) const CAPACITY: usize = BUCKETS * WAYS;

    pub(super) fn new() -> Self {
        let buckets = std::iter::repeat_with(Mutex::default).take(BUCKETS).collect();
        Self { random: RandomState::new(), buckets }
    }

    pub(super) fn get(&self, subject: &Subject) -> Option<V> {
        let bucket = self.bucket(subject)?;
        bucket.iter().find(|(other, _)| other == subject).map(|(_, value)| *value)
    }

    /// Applies `change` to the entry of `subject`, or to `new` if there is none, in one atomic
    /// step. A new entry in a full bucket evicts the entry with the least `worth`.
    pub(super) fn change<T, W: Ord>(
        &self,
        subject: &Subject,
        new: V,
        worth: impl Fn(&V) -> W,
        change: impl FnOnce(&mut V) -> T,
    ) -> T {
        let mut value = new;
        let Some(mut bucket) = self.bucket(subject) else { return change(&mut value) };
        if let Some((_, value)) = bucket.iter_mut().find(|(other, _)| other == subject) {
            return change(value);
        }
        let result = change(&mut value);
        if bucket.len() < WAYS {
            bucket.push((*subject, value));
        } else if let Some(least) = bucket.iter_mut().min_by_key(|(_, value)| worth(value)) {
            *least = (*subject, value);
        }
        result
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| lock(bucket).len()).sum()
    }

    fn bucket(&self, subject: &Subject) -> Option<MutexGuard<'_, Bucket<V>>> {
        let hash = usize::try_from(self.random.hash_one(subject) % BUCKETS as u64).ok()?;
        self.buckets.get(hash).map(lock)
    }
}

fn lock<V>(bucket: &Mutex<Bucket<V>>) -> MutexGuard<'_, Bucket<V>> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}
