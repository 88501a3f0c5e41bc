//! Rate limits for guesses at passwords and client secrets. One caller cannot lock out another.
//!
//! - An *address* has a budget of failures in a sliding window. When it is spent, attempts from
//!   there are refused.
//! - A *name*, of a user or the operator, with many failures is under attack. Attempts on it run
//!   one at a time, with a growing pause between them. When a pause is over, `choice` selects the
//!   next attempt: those with the fewest failures and refusals come first, and chance decides
//!   between equals. A known device, that is, a pair of name and address with an earlier successful
//!   login, does not wait. Unknown names are treated like existing ones; otherwise the limits would
//!   reveal which names exist.
//!
//! A success does not restore the budget: an attacker with one account could guess at others in
//! between. Only guesses at secrets chosen by people and at client secrets are counted. Bearer and
//! refresh tokens are not: they have 256 random bits, so guessing them is hopeless, and a resource
//! server that asks about invalid tokens, or a client that presents an old one, is not guessing.

mod admission;
mod choice;
mod subjects;
mod turns;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::audit;
use crate::domain::{Clock, Slice, Subject, Tally};
use crate::observe::metrics;
use crate::store::AttemptStore;
use turns::{Turn, Turns};

/// Time for which a known device is remembered after a login.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Budgets for failed attempts.
#[derive(Clone, Copy, Debug)]
pub struct ThrottlePolicy {
    /// Whether rate limits apply.
    pub enabled: bool,
    /// Number of failures in the window after which attempts from an address are refused.
    pub failures_per_address: u32,
    /// Number of failures in the window after which a name counts as under attack.
    pub failures_per_user: u32,
    /// Length of the sliding window.
    pub window: Duration,
}

/// The kind of credential that an attempt guesses at. Each kind has budgets of its own, so that a
/// service with an outdated secret does not keep users at the same address from logging in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guessed {
    /// A user's password.
    Password,
    /// A client secret.
    ClientSecret,
    /// The operator's user name and password.
    Operator,
}

impl Guessed {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ClientSecret => "client secret",
            Self::Operator => "operator",
        }
    }

    const fn as_bytes(self) -> &'static [u8] {
        self.as_str().as_bytes()
    }
}

/// The attempt was refused because too many have failed or too many are waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts have failed, try again later")]
pub struct Throttled {
    /// Time after which the caller may try again, in whole seconds, at least one.
    pub retry_after: Duration,
}

/// The rate limiter of a server. Clones share all state.
#[derive(Clone)]
pub struct Throttle {
    inner: Arc<Inner>,
    refused: Arc<metrics::Throttled>,
}

struct Inner {
    policy: ThrottlePolicy,
    attempts: Arc<dyn AttemptStore>,
    clock: Arc<dyn Clock>,
    turns: Arc<Turns>,
}

/// An admitted attempt. The caller reports its result with [`Self::failed`] or [`Self::succeeded`].
/// If the result is unknown because the server could not verify the guess, the attempt is dropped
/// and nothing is counted.
#[must_use]
pub struct Attempt {
    throttle: Throttle,
    what: Guessed,
    address: Option<IpAddr>,
    from: Option<Subject>,
    name: Subject,
    turns: Vec<Turn>,
}

impl Throttle {
    /// Creates a rate limiter that counts in `attempts`.
    pub fn new(
        attempts: Arc<dyn AttemptStore>,
        clock: Arc<dyn Clock>,
        policy: ThrottlePolicy,
    ) -> Self {
        let inner = Inner { policy, attempts, clock, turns: Arc::default() };
        Self { inner: Arc::new(inner), refused: Arc::default() }
    }

    /// Returns the rate limiter with `refused` as the metric for refused attempts.
    #[must_use]
    pub fn observed_by(self, refused: Arc<metrics::Throttled>) -> Self {
        Self { refused, ..self }
    }

    /// Admits an attempt on `name`, waiting for its turn if necessary. `address` is `None` if it is
    /// unknown, as on a Unix socket without a forwarded address. Such callers have no address
    /// budget, since one of them could use up a budget that all share; only the limits on names
    /// apply.
    ///
    /// # Errors
    /// [`Throttled`] when the attempt is refused; the caller must not verify the guess.
    pub async fn admit(
        &self,
        what: Guessed,
        address: Option<IpAddr>,
        name: &str,
    ) -> Result<Attempt, Throttled> {
        let from = address.map(|address| subjects::address(what, address));
        let name = subjects::name(what, name);
        let throttle = self.clone();
        let mut attempt = Attempt { throttle, what, address, from, name, turns: Vec::new() };
        if !self.inner.policy.enabled {
            return Ok(attempt);
        }
        attempt.turns = self.take_turns(what, address, name).await?;
        Ok(attempt)
    }

    /// Counts a wrong client secret. The secret is compared before this call: it has 256 random
    /// bits, so learning that one is wrong does not help an attacker, and a client with the correct
    /// secret is served even from an address with many failures. Only addresses have a budget here.
    /// Clients have none, so that guesses at a client's secret do not slow the client down.
    ///
    /// # Errors
    /// [`Throttled`] when the budget of the address was already spent.
    pub async fn secret_failed(&self, address: Option<IpAddr>) -> Result<(), Throttled> {
        match address.filter(|_| self.inner.policy.enabled) {
            Some(address) => self.count_address(Guessed::ClientSecret, address).await,
            None => Ok(()),
        }
    }

    /// Counts a failure against the budget of an address. The failure that spends the budget is
    /// audited; the attempts refused afterwards are not.
    async fn count_address(&self, what: Guessed, address: IpAddr) -> Result<(), Throttled> {
        let from = subjects::address(what, address);
        let budget = self.inner.policy.failures_per_address;
        let added = self.inner.attempts.add(from, budget, self.slice()).await;
        if !added.counted {
            return Err(self.spent(what, &added.tally));
        }
        if added.tally.total() == budget {
            audit::address_throttled(what.as_str(), address);
        }
        Ok(())
    }

    fn slice(&self) -> Slice {
        Slice::at(self.inner.clock.now(), self.inner.policy.window)
    }

    /// Refuses an attempt from an address whose budget is spent.
    fn spent(&self, what: Guessed, tally: &Tally) -> Throttled {
        let at = self.slice();
        let by = match what {
            Guessed::ClientSecret => &self.refused.client,
            Guessed::Password | Guessed::Operator => &self.refused.address,
        };
        self.refuse(by, tally.at(at).until_below(self.inner.policy.failures_per_address, at))
    }

    fn refuse(&self, by: &metrics::Counter, wait: Duration) -> Throttled {
        by.increment();
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        Throttled { retry_after: Duration::from_secs(seconds.max(1)) }
    }
}

impl Attempt {
    /// Reports that the guess was wrong. `shown` is the name for the audit log, or `None` if it
    /// must not be logged.
    ///
    /// # Errors
    /// [`Throttled`] when concurrent failures have spent the budget; the caller must not reveal the
    /// result of the guess.
    pub async fn failed(mut self, shown: Option<&str>) -> Result<(), Throttled> {
        let (throttle, what) = (self.throttle.clone(), self.what);
        let policy = &throttle.inner.policy;
        if !policy.enabled {
            return Ok(());
        }
        let (attempts, at) = (&throttle.inner.attempts, throttle.slice());
        let added = attempts.add(self.name, u32::MAX, at).await;
        if let Some(address) = self.address {
            attempts.add(subjects::network(self.name, address), u32::MAX, at).await;
        }
        if added.counted && added.tally.total() == policy.failures_per_user {
            audit::name_under_attack(what.as_str(), shown, self.address);
        }
        let counted = match self.address {
            Some(address) => throttle.count_address(what, address).await,
            None => Ok(()),
        };
        // After counting: the waiting attempts that run next must see this failure.
        self.turns.iter_mut().for_each(Turn::spend);
        counted
    }

    /// Reports that the guess was right, and remembers the known device.
    pub async fn succeeded(self) {
        let inner = &self.throttle.inner;
        if let Some(from) = self.from.filter(|_| inner.policy.enabled) {
            let known = subjects::acquaintance(self.name, from);
            inner.attempts.remember(known, REMEMBERED, self.throttle.slice()).await;
        }
    }
}
