//! Slows the guessing of passwords and secrets, and locks nobody out for what somebody else does.
//!
//! - An *address* has a budget of failures in a window of time; when it is spent, it is refused.
//! - A *name* on which many have failed is under attack: attempts on it run one at a time, with a pause
//!   that grows, and who is next is decided when a pause is over (`choice`): those first against whom
//!   there is least, and chance between equals. Who has got in from the same address before, lately,
//!   does not wait at all. What nobody is called is treated as a name, or the throttle would tell which
//!   names there are.
//!
//! A success gives nothing back: whoever has one account could guess the others in between. Counted are
//! guesses at what people have chosen, and at client secrets. Bearer and refresh tokens are not: they
//! are 256 random bits, so there is nothing to slow, and a resource server that asks about bad ones, or
//! a client that tries an old one, guesses nothing.

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

/// For how long who has got in is remembered.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Budgets for failed attempts.
#[derive(Clone, Copy, Debug)]
pub struct ThrottlePolicy {
    /// Whether anything is slowed.
    pub enabled: bool,
    /// Failures within the window before an address is refused.
    pub failures_per_address: u32,
    /// Failures within the window before a name is under attack.
    pub failures_per_user: u32,
    /// How far back failures count.
    pub window: Duration,
}

/// What is guessed. Each is counted apart: a service with an outdated secret does not keep the people at
/// the same address from logging in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guessed {
    /// A user's password.
    Password,
    /// A client's secret.
    ClientSecret,
    /// The operator's name and password.
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

/// Too many have failed, or too many are waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts have failed, try again later")]
pub struct Throttled {
    /// When to come back: whole seconds, at least one.
    pub retry_after: Duration,
}

/// The throttle of a server. Clones share everything.
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

/// An attempt that may be made now. What became of it has to be said; if it is not, because the server
/// could not tell, nothing is counted.
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
    /// A throttle that counts in `attempts`.
    pub fn new(
        attempts: Arc<dyn AttemptStore>,
        clock: Arc<dyn Clock>,
        policy: ThrottlePolicy,
    ) -> Self {
        let inner = Inner { policy, attempts, clock, turns: Arc::default() };
        Self { inner: Arc::new(inner), refused: Arc::default() }
    }

    /// The same, which counts here what it refuses.
    #[must_use]
    pub fn observed_by(self, refused: Arc<metrics::Throttled>) -> Self {
        Self { refused, ..self }
    }

    /// Asks whether an attempt on `name` may be made, and waits for its turn. `address` is `None` where it
    /// is not known: a Unix socket behind which nobody says who calls. All who call would share one
    /// budget there, so that one of them could use it up for all; only names are protected.
    ///
    /// # Errors
    /// [`Throttled`]; then the guess must not be looked at.
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

    /// Counts a wrong client secret, which was looked at already: secrets are 256 random bits, so to be
    /// told that this one is wrong helps nobody, and who has the right one is served from an address at
    /// which somebody else guesses. Only an address has a budget here, and not a client: who guesses its
    /// secret does not slow it.
    ///
    /// # Errors
    /// [`Throttled`]: the budget was spent before.
    pub async fn secret_failed(&self, address: Option<IpAddr>) -> Result<(), Throttled> {
        match address.filter(|_| self.inner.policy.enabled) {
            Some(address) => self.count_address(Guessed::ClientSecret, address).await,
            None => Ok(()),
        }
    }

    /// Counts a failure of an address, if there is something left of its budget. The failure that spends
    /// it is written down, and not those that are refused for it.
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

    /// The budget of an address is spent.
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
    /// The guess was wrong. `shown` is the name, if it may be written down.
    ///
    /// # Errors
    /// [`Throttled`]: others have spent the budget meanwhile; then nothing may be said about the guess.
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
        // Only now may those go on who wait for what became of this one.
        self.turns.iter_mut().for_each(Turn::spend);
        counted
    }

    /// The guess was right.
    pub async fn succeeded(self) {
        let inner = &self.throttle.inner;
        if let Some(from) = self.from.filter(|_| inner.policy.enabled) {
            let known = subjects::acquaintance(self.name, from);
            inner.attempts.remember(known, REMEMBERED, self.throttle.slice()).await;
        }
    }
}
