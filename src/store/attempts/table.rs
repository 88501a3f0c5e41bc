//! A map that never holds more than so many entries, whoever fills it.
//!
//! Each key has its place in one of 4096 buckets of eight. In a full bucket the entry gives way that
//! matters least, which whoever uses the table decides. So a flood of new keys pushes out other new
//! ones, and not those that much is known of. A random key of the process decides about the buckets, so
//! that nobody can choose keys that fall into the bucket of another one. A sketch (count-min) would be
//! smaller still, but counts too much when it is full, and would have strangers pay for the flood.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::Subject;

const BUCKETS: usize = 4096;
const WAYS: usize = 8;

type Bucket<V> = Vec<(Subject, V)>;

/// A table of bounded size. Its memory is taken as it fills.
pub(super) struct Table<V> {
    random: RandomState,
    buckets: Vec<Mutex<Bucket<V>>>,
}

impl<V: Copy> Table<V> {
    /// The most that it ever holds.
    pub(super) const CAPACITY: usize = BUCKETS * WAYS;

    pub(super) fn new() -> Self {
        let buckets = std::iter::repeat_with(Mutex::default).take(BUCKETS).collect();
        Self { random: RandomState::new(), buckets }
    }

    pub(super) fn get(&self, subject: &Subject) -> Option<V> {
        let bucket = self.bucket(subject)?;
        bucket.iter().find(|(other, _)| other == subject).map(|(_, value)| *value)
    }

    /// Changes the entry of `subject`, or a new one, in one step. If there is no room, the entry with
    /// the least `worth` makes some.
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

    /// How many entries there are.
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
