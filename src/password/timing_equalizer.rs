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

use super::parsed_hash::parameters_prefix;
use crate::domain::PasswordHash;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

/// Maximum delay of a failed login. A few slow hashes must not delay all failed logins by more.
const MAX_DELAY: Duration = Duration::from_secs(2);
/// Maximum number of kinds of hash (function and parameters) that are measured. Of more kinds, the
/// slowest are kept, because they determine the delay of failed logins.
pub const MAX_KINDS: usize = 32;

/// Maximum number of verification times, the latest, kept for each kind of hash (function and
/// parameters).
const KEPT_MEASUREMENTS: usize = 8;
/// Minimum number of verification times of one kind of hash for recognizing an outlier among them.
const MIN_MEASUREMENTS: usize = 3;

/// Makes failed logins take as long as verifying the users' slowest kind of hash (function and
/// parameters).
pub(super) struct TimingEqualizer {
    policy_prefix: String,
    times: Mutex<HashMap<String, Measurements>>,
    /// Whether the kinds (functions and parameters) of the users' hashes are known. If not, failed
    /// logins wait.
    surveyed: watch::Sender<bool>,
}

impl TimingEqualizer {
    /// Creates an equalizer for a policy whose hashes are of the same kind (function and
    /// parameters) as `dummy`. Failed logins are not delayed until another kind is measured.
    pub(super) fn new(dummy: &PasswordHash) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the pool made the dummy in a format that it parses"
        )]
        let policy_prefix = parameters_prefix(dummy).expect("a parsable hash").to_owned();
        Self { policy_prefix, times: Mutex::default(), surveyed: watch::Sender::new(true) }
    }

    /// Returns the prefix of encoded hashes (function and parameters) that all new hashes share.
    pub(super) fn policy_prefix(&self) -> &str {
        &self.policy_prefix
    }

    /// Sets whether the kinds (functions and parameters) of the users' hashes are known. Until they
    /// are known, failed logins wait.
    pub(super) fn set_surveyed(&self, surveyed: bool) {
        self.surveyed.send_replace(surveyed);
    }

    /// Records how long the verification of `hash` took. Without a hash that can be parsed, a dummy
    /// hash was verified instead, so the time is recorded for the policy's own kind of hash.
    pub(super) fn record(&self, hash: Option<&PasswordHash>, took: Duration) {
        let kind = hash.and_then(parameters_prefix).unwrap_or(&self.policy_prefix);
        let mut times = self.lock();
        if !times.contains_key(kind) && times.len() >= MAX_KINDS {
            let fastest = times.iter().min_by_key(|(_, times)| times.typical());
            let fastest = fastest.map(|(kind, _)| kind.clone());
            fastest.and_then(|kind| times.remove(&kind));
        }
        times.entry(kind.to_owned()).or_default().add(took);
    }

    /// Returns how often to measure the verification time of this hash: until its kind (function
    /// and parameters) has `MIN_MEASUREMENTS` times, and at least once.
    pub(super) fn measurements_needed(&self, hash: &PasswordHash) -> usize {
        let kind = parameters_prefix(hash).unwrap_or_default();
        let known = self.lock().get(kind).map_or(0, |times| times.0.len());
        MIN_MEASUREMENTS.saturating_sub(known).max(1)
    }

    /// Removes the verification times of all kinds of hash (function and parameters) except those
    /// of `kinds` and the kind of new hashes.
    pub(super) fn retain_kinds(&self, kinds: &[PasswordHash]) {
        let kinds: Vec<_> = kinds.iter().filter_map(parameters_prefix).collect();
        self.lock().retain(|kind, _| *kind == self.policy_prefix || kinds.contains(&kind.as_str()));
    }

    /// Waits until a failed login may be answered that began its verifications (one for each form
    /// of the password) at `began`.
    pub(super) async fn wait(&self, began: Instant, verifications: u32) {
        if !*self.surveyed.borrow() {
            let mut surveyed = self.surveyed.subscribe();
            // If the kinds are still unknown, the failure is returned nevertheless.
            let _ = timeout(MAX_DELAY, surveyed.wait_for(|surveyed| *surveyed)).await;
        }
        let minimum = self.minimum() * verifications;
        if began.elapsed() < minimum {
            sleep_until((began + minimum).into()).await;
        }
    }

    /// Returns the minimum duration of a failed login: a quarter above the slowest kind of hash, or
    /// zero if all measured hashes have the function and parameters of new hashes.
    pub(super) fn minimum(&self) -> Duration {
        let times = self.lock();
        if times.keys().all(|kind| *kind == self.policy_prefix) {
            return Duration::ZERO;
        }
        with_margin(times.values().map(Measurements::typical).max().unwrap_or_default())
    }

    /// Returns whether the kind (function and parameters) of this hash causes the maximum delay of
    /// failed logins, so that slower kinds change nothing.
    pub(super) fn is_at_maximum(&self, hash: &PasswordHash) -> bool {
        let typical = parameters_prefix(hash)
            .and_then(|kind| self.lock().get(kind).map(Measurements::typical));
        typical.is_some_and(|typical| with_margin(typical) >= MAX_DELAY)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Measurements>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `time` plus a quarter, up to the maximum delay of a failed login.
fn with_margin(time: Duration) -> Duration {
    (time + time / 4).min(MAX_DELAY)
}

/// Latest verification times of one kind of hash (function and parameters), which vary with load.
#[derive(Default)]
struct Measurements(VecDeque<Duration>);

impl Measurements {
    fn add(&mut self, took: Duration) {
        if self.0.len() >= KEPT_MEASUREMENTS {
            self.0.pop_front();
        }
        self.0.push_back(took.min(MAX_DELAY));
    }

    /// Returns the longest verification time, or the second longest if the longest is an outlier. A
    /// short stall of the machine must not delay all failed logins while its measurement is kept.
    fn typical(&self) -> Duration {
        let mut times: Vec<Duration> = self.0.iter().copied().collect();
        times.sort_unstable();
        match times[..] {
            [.., next, longest] if times.len() >= MIN_MEASUREMENTS && longest > 2 * next => next,
            [.., longest] => longest,
            [] => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;
