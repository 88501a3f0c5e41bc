//! Counters of failed attempts in the memory of the process.

use std::time::Duration;

use async_trait::async_trait;

use super::table::Table;
use super::{Added, AttemptStore};
use crate::domain::{Slice, Subject, SubjectKind, Tally, Timestamp};

/// Counters in memory: at most 32,768 of each kind, about 12 MB in total.
///
/// Counters with the fewest failures are evicted first. To evict a counter at its limit, an
/// attacker would have to raise all other counters of its bucket to the limit. An attacker cannot
/// choose the bucket of a key, so this takes more failures than the eviction gains.
pub struct MemoryAttempts {
    addresses: Table<Failures>,
    refused: Table<Failures>,
    names: Table<Failures>,
    networks: Table<Failures>,
    /// Known devices, each with the time until which it is remembered.
    acquaintances: Table<Timestamp>,
}

#[derive(Clone, Copy, Default)]
struct Failures {
    tally: Tally,
    /// Time of the next allowed attempt.
    next: Timestamp,
    /// Time at which `next` was set. It is in the future if the clock was set back since.
    noted: Timestamp,
}

impl MemoryAttempts {
    /// Maximum number of counters of each kind.
    pub const CAPACITY: usize = Table::<Failures>::CAPACITY;

    /// Creates an empty set of counters.
    pub fn new() -> Self {
        Self {
            addresses: Table::new(),
            refused: Table::new(),
            names: Table::new(),
            networks: Table::new(),
            acquaintances: Table::new(),
        }
    }

    /// Returns the number of counters of this kind.
    pub fn len(&self, kind: SubjectKind) -> usize {
        match kind {
            SubjectKind::Address => self.addresses.len(),
            SubjectKind::RefusedAddress => self.refused.len(),
            SubjectKind::Name => self.names.len(),
            SubjectKind::Network => self.networks.len(),
            SubjectKind::Acquaintance => self.acquaintances.len(),
        }
    }

    fn table(&self, subject: &Subject) -> &Table<Failures> {
        match subject.kind() {
            SubjectKind::Address => &self.addresses,
            SubjectKind::RefusedAddress => &self.refused,
            SubjectKind::Network => &self.networks,
            SubjectKind::Name | SubjectKind::Acquaintance => &self.names,
        }
    }

    fn change<T>(
        &self,
        subject: &Subject,
        at: Slice,
        change: impl FnOnce(&mut Failures) -> T,
    ) -> T {
        let worth = |failures: &Failures| {
            let tally = failures.tally.at(at);
            (tally.total(), failures.tally.newest())
        };
        self.table(subject).change(subject, Failures::default(), worth, change)
    }

    pub(in crate::store) fn recent_of(&self, subject: &Subject, at: Slice) -> Tally {
        let failures = self.table(subject).get(subject);
        failures.map(|failures| failures.tally).unwrap_or_default().at(at)
    }
}

impl Default for MemoryAttempts {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl AttemptStore for MemoryAttempts {
    async fn recent(&self, subjects: &[Subject], at: Slice) -> Vec<Tally> {
        subjects.iter().map(|subject| self.recent_of(subject, at)).collect()
    }

    async fn add(&self, subject: Subject, limit: u32, at: Slice) -> Added {
        self.change(&subject, at, |failures| {
            let counted = failures.tally.at(at).total() < limit;
            if counted {
                failures.tally.add(at);
            }
            Added { counted, tally: failures.tally.at(at) }
        })
    }

    async fn reserve(
        &self,
        subject: Subject,
        pause: Duration,
        patience: Duration,
        at: Slice,
    ) -> Option<Duration> {
        self.change(&subject, at, |failures| {
            let wait = failures.next.remaining(failures.noted.max(at.now));
            let given = wait <= patience;
            failures.next = at.now.plus(wait).plus(if given { pause } else { Duration::ZERO });
            failures.noted = at.now;
            given.then_some(wait)
        })
    }

    async fn remember(&self, subject: Subject, time: Duration, at: Slice) {
        let until = at.now.plus(time);
        self.acquaintances.change(&subject, until, |until| *until, |known| *known = until);
    }

    async fn is_remembered(&self, subject: Subject, at: Slice) -> bool {
        self.acquaintances.get(&subject).is_some_and(|until| until > at.now)
    }
}
