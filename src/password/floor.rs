//! Until when failures are answered, where users have hashes of several kinds.
//!
//! A hash of another function, or of other parameters, takes another time to verify than the dummy that
//! stands in for an unknown user. So all failures wait until some time after the work began which the
//! slowest kind keeps: on a timer, which costs nothing. A success does not wait: it tells only whoever has
//! the right password. The alternative was to verify a share of the unknown names against a dummy of the
//! other kind; that takes a secret to choose them by, and costs the work.

use super::stored;
use crate::domain::PasswordHash;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

/// Nobody waits longer than that, so that a few hashes that cost seconds do not slow everybody down.
const CEILING: Duration = Duration::from_secs(2);
/// More kinds than any store has. Of more, the slowest are what matters.
pub(super) const KINDS: usize = 32;

/// How long each kind of hash takes, by function and parameters.
pub(super) struct Floor {
    own: String,
    times: Mutex<HashMap<String, Duration>>,
    /// Whether it is known which kinds there are.
    looked: watch::Sender<bool>,
}

impl Floor {
    /// For a policy whose hashes are such as `dummy`. There is nothing to wait for, until something is seen.
    pub(super) fn new(dummy: &PasswordHash) -> Self {
        let own = stored::kind(dummy).unwrap_or_default().to_owned();
        Self { own, times: Mutex::default(), looked: watch::Sender::new(true) }
    }

    /// The kind of the policy's own hashes.
    pub(super) fn own_kind(&self) -> &str {
        &self.own
    }

    /// Says whether it is known which kinds there are. Until then failures wait for it.
    pub(super) fn set_looked(&self, looked: bool) {
        self.looked.send_replace(looked);
    }

    /// How long verifying this hash took; the policy's own stands for one that there is not, or that cannot
    /// be read. A time that is longer counts at once, a shorter one bit by bit: it depends on what else runs.
    pub(super) fn saw(&self, hash: Option<&PasswordHash>, took: Duration) {
        let kind = hash.and_then(stored::kind).unwrap_or(&self.own);
        let mut times = self.lock();
        match times.get_mut(kind) {
            Some(time) if *time < took => *time = took,
            Some(time) => *time -= (*time - took) / 8,
            None => {
                if times.len() >= KINDS {
                    let quickest = times.iter().min_by_key(|(_, time)| **time);
                    let quickest = quickest.map(|(kind, _)| kind.clone());
                    quickest.and_then(|kind| times.remove(&kind));
                }
                times.insert(kind.to_owned(), took);
            }
        }
    }

    /// Forgets the kinds that nobody has any more.
    pub(super) fn keep(&self, kinds: &[PasswordHash]) {
        let kinds: Vec<_> = kinds.iter().filter_map(stored::kind).collect();
        self.lock().retain(|kind, _| *kind == self.own || kinds.contains(&kind.as_str()));
    }

    /// Waits until a failure may be answered whose verification began then.
    pub(super) async fn wait(&self, began: Instant) {
        if !*self.looked.borrow() {
            let mut looked = self.looked.subscribe();
            // That it takes longer is no reason not to answer.
            let _ = timeout(CEILING, looked.wait_for(|looked| *looked)).await;
        }
        let height = self.height();
        if began.elapsed() < height {
            sleep_until((began + height).into()).await;
        }
    }

    /// A quarter above the slowest kind; nothing where all hashes are of the policy's own.
    pub(super) fn height(&self) -> Duration {
        let times = self.lock();
        if times.keys().all(|kind| *kind == self.own) {
            return Duration::ZERO;
        }
        let slowest = times.values().max().copied().unwrap_or_default();
        (slowest + slowest / 4).min(CEILING)
    }

    /// Whether a slower kind would change nothing.
    pub(super) fn is_as_high_as_it_gets(&self) -> bool {
        self.height() >= CEILING
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Duration>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
