//! Timing equalizer: delays failed logins so that their time does not reveal whether the user
//! exists.
//!
//! Verifying a stored hash with another function or other parameters does not take as long as
//! verifying the dummy hash of an unknown user. Where users have such hashes, no failure is
//! therefore returned before a fixed time since its verification began: the time of the slowest
//! kind of hash plus a quarter. A kind is a function with its parameters. The delay is a timer and
//! uses no CPU time. A successful login is not delayed, because its time is seen only by a caller
//! that knows the password.
//!
//! The alternative is to verify a share of the unknown names against a dummy hash of another kind.
//! It needs a secret to choose the names by, and CPU time for the verification.

use super::stored;
use crate::domain::PasswordHash;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

/// Maximum delay. It keeps a few hashes that take seconds from slowing down all failed logins.
const CEILING: Duration = Duration::from_secs(2);
/// Maximum number of kinds that are measured, more than stores usually have. Beyond it, the slowest
/// kinds are kept, because they determine the delay.
pub const KINDS: usize = 32;

/// Number of latest measurements kept for each kind, and number of measurements needed to recognize
/// an outlier.
const KEPT: usize = 8;
const ENOUGH: usize = 3;

/// Measured verification times of each kind of hash.
pub(super) struct Floor {
    own: String,
    times: Mutex<HashMap<String, Times>>,
    /// Whether the kinds of the users' hashes are known.
    looked: watch::Sender<bool>,
}

impl Floor {
    /// Creates an equalizer for a policy whose hashes are of the same kind as `dummy`. There is no
    /// delay until another kind is measured.
    pub(super) fn new(dummy: &PasswordHash) -> Self {
        let own = stored::kind(dummy).unwrap_or_default().to_owned();
        Self { own, times: Mutex::default(), looked: watch::Sender::new(true) }
    }

    /// Returns the kind of the policy's own hashes.
    pub(super) fn own_kind(&self) -> &str {
        &self.own
    }

    /// Sets whether the kinds of the users' hashes are known. Until they are, failures wait.
    pub(super) fn set_looked(&self, looked: bool) {
        self.looked.send_replace(looked);
    }

    /// Records how long the verification of this hash took. Without a hash, or with one that cannot
    /// be parsed, the dummy was verified, so the time is recorded for the policy's own kind.
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

    /// Returns how many measurements of this hash to take: as many as its kind lacks for
    /// recognizing an outlier, and at least one.
    pub(super) fn wanted(&self, hash: &PasswordHash) -> usize {
        let kind = stored::kind(hash).unwrap_or_default();
        let known = self.lock().get(kind).map_or(0, |times| times.0.len());
        ENOUGH.saturating_sub(known).max(1)
    }

    /// Removes the measurements of all kinds except these and the policy's own.
    pub(super) fn keep(&self, kinds: &[PasswordHash]) {
        let kinds: Vec<_> = kinds.iter().filter_map(stored::kind).collect();
        self.lock().retain(|kind, _| *kind == self.own || kinds.contains(&kind.as_str()));
    }

    /// Waits until a failure may be returned whose verification began at `began`.
    pub(super) async fn wait(&self, began: Instant) {
        if !*self.looked.borrow() {
            let mut looked = self.looked.subscribe();
            // If the kinds are still unknown, the failure is returned nevertheless.
            let _ = timeout(CEILING, looked.wait_for(|looked| *looked)).await;
        }
        let height = self.height();
        if began.elapsed() < height {
            sleep_until((began + height).into()).await;
        }
    }

    /// Returns the minimum duration of a failure: a quarter above the slowest kind, or zero if all
    /// measured hashes are of the policy's own kind.
    pub(super) fn height(&self) -> Duration {
        let times = self.lock();
        if times.keys().all(|kind| *kind == self.own) {
            return Duration::ZERO;
        }
        above(times.values().map(Times::usual).max().unwrap_or_default())
    }

    /// Returns whether the kind of this hash causes the maximum delay, so that slower kinds change
    /// nothing.
    pub(super) fn is_ceiling_of(&self, hash: &PasswordHash) -> bool {
        let usual = stored::kind(hash).and_then(|kind| self.lock().get(kind).map(Times::usual));
        usual.is_some_and(|usual| above(usual) >= CEILING)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Times>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a quarter, up to the maximum delay.
fn above(time: Duration) -> Duration {
    (time + time / 4).min(CEILING)
}

/// Latest measurements of one kind. Several are kept because they vary with the load.
#[derive(Default)]
struct Times(VecDeque<Duration>);

impl Times {
    fn add(&mut self, took: Duration) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(took.min(CEILING));
    }

    /// Returns the longest measurement, or the second longest if the longest is an outlier. A short
    /// stall of the machine must not delay all failures for as long as its measurement is kept.
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
