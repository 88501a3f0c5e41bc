//! Until when failures are answered, where users have hashes of several kinds.
//!
//! A hash of another function, or of other parameters, takes another time to verify than the dummy that
//! stands in for an unknown user. So all failures wait until some time after the work began which the
//! slowest kind keeps: on a timer, which costs nothing. A success does not wait: it tells only whoever has
//! the right password. The alternative was to verify a share of the unknown names against a dummy of the
//! other kind; that takes a secret to choose them by, and costs the work.

use super::stored;
use crate::domain::PasswordHash;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

/// Nobody waits longer than that, so that a few hashes that cost seconds do not slow everybody down.
const CEILING: Duration = Duration::from_secs(2);
/// More kinds than any store has. Of more, the slowest are what matters.
pub const KINDS: usize = 32;

/// So many measurements of each kind are kept, and so many tell whether one is out of the ordinary.
const KEPT: usize = 8;
const ENOUGH: usize = 3;

/// How long each kind of hash takes, by function and parameters.
pub(super) struct Floor {
    own: String,
    times: Mutex<HashMap<String, Times>>,
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
    /// be read.
    pub(super) fn saw(&self, hash: Option<&PasswordHash>, took: Duration) {
        let kind = hash.and_then(stored::kind).unwrap_or(&self.own);
        let mut times = self.lock();
        if !times.contains_key(kind) && times.len() >= KINDS {
            let quickest = times.iter().min_by_key(|(_, times)| times.usual());
            let quickest = quickest.map(|(kind, _)| kind.clone());
            quickest.and_then(|kind| times.remove(&kind));
        }
        times.entry(kind.to_owned()).or_default().add(took);
    }

    /// How often a hash like this one is to be measured: once more, or until it is known what is usual.
    pub(super) fn wanted(&self, hash: &PasswordHash) -> usize {
        let kind = stored::kind(hash).unwrap_or_default();
        let known = self.lock().get(kind).map_or(0, |times| times.0.len());
        ENOUGH.saturating_sub(known).max(1)
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
        above(times.values().map(Times::usual).max().unwrap_or_default())
    }

    /// Whether a slower kind than that of this hash would change nothing.
    pub(super) fn is_ceiling_of(&self, hash: &PasswordHash) -> bool {
        let usual = stored::kind(hash).and_then(|kind| self.lock().get(kind).map(Times::usual));
        usual.is_some_and(|usual| above(usual) >= CEILING)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Times>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A quarter above, and not above the ceiling.
fn above(time: Duration) -> Duration {
    (time + time / 4).min(CEILING)
}

/// The last measurements of a kind. How long one takes depends on what else runs.
#[derive(Default)]
struct Times(VecDeque<Duration>);

impl Times {
    fn add(&mut self, took: Duration) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(took.min(CEILING));
    }

    /// The longest, unless it stands alone: a machine that stood still for a moment is not to slow everybody
    /// down for as long as it is remembered.
    fn usual(&self) -> Duration {
        let mut times: Vec<Duration> = self.0.iter().copied().collect();
        times.sort_unstable();
        match times[..] {
            [.., next, longest] if times.len() >= ENOUGH && longest > 2 * next => next,
            [.., longest] => longest,
            [] => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;
