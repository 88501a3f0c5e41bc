//! The rate limiter: admits attempts, counts their failures and remembers known devices.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounter;
use tokio::time::{Instant, timeout_at};

use super::keys::{self, Origin};
use super::queue::{Admission, Permit, Queues};
use super::selection::{Candidate, Penalty};
use super::{CredentialKind, RateLimitPolicy, RateLimited, audit};
use crate::domain::{Bucket, Clock, RateLimitKey, WindowCounter};
use crate::observe::metrics;
use crate::store::RateLimitStore;

/// Time for which a known device (user name and address) is remembered after a successful login.
const KNOWN_DEVICE_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// First pause between attempts on a user name under attack (with many failures). The pause doubles
/// with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between attempts on a name under attack (with many failures). This pause leaves an
/// attacker 900 attempts an hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Longest total time for which an attempt waits to run; shorter than the timeouts of clients.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// Maximum number of refused attempts that are counted for an address in the sliding window.
const MAX_REFUSALS: u32 = 1000;
/// Maximum number of attempts waiting for one address or name. On a name with many failures, few of
/// them may run before `MAX_WAIT` is over, but only waiting attempts can be selected.
const MAX_QUEUE: usize = 256;

/// Limits the attempts to authenticate in a server process. Clones share all state.
#[derive(Clone)]
pub struct RateLimiter(Arc<LimiterState>);

struct LimiterState {
    policy: RateLimitPolicy,
    store: Arc<dyn RateLimitStore>,
    clock: Arc<dyn Clock>,
    refused: Option<Arc<metrics::RateLimitMetrics>>,
    queues: Arc<Queues>,
}

/// An admitted attempt to authenticate. The caller reports its result with [`Self::failed`] or
/// [`Self::succeeded`]. If the result is unknown because the server could not verify the guess, the
/// attempt is dropped and nothing is counted.
#[must_use]
pub struct Attempt {
    limiter: RateLimiter,
    kind: CredentialKind,
    address: Option<IpAddr>,
    origin: Option<Origin>,
    name: RateLimitKey,
    permits: Vec<Permit>,
}

/// The permit (right) to run an attempt from an address, with the failures counted for the address.
struct AddressPermit {
    permit: Permit,
    failures: WindowCounter,
    has_waited: bool,
}

impl RateLimiter {
    /// Creates a rate limiter that keeps its counters in `store`, and counts refused attempts in
    /// the metrics `refused`.
    pub fn new(
        store: Arc<dyn RateLimitStore>,
        clock: Arc<dyn Clock>,
        policy: RateLimitPolicy,
        refused: Option<Arc<metrics::RateLimitMetrics>>,
    ) -> Self {
        Self(Arc::new(LimiterState { policy, store, clock, refused, queues: Arc::default() }))
    }

    /// Admits an attempt to authenticate as `name`, after waiting for its permits (rights to run)
    /// if necessary. `address` is `None` if the client's address is unknown, as on a Unix socket
    /// without a forwarded address. Such callers have no address budget (maximum number of
    /// failures), since one of them could use up a budget that all share; only the limits on names
    /// apply.
    ///
    /// # Errors
    /// [`RateLimited`] when the attempt is refused; the caller must not verify the guess.
    pub async fn admit(
        &self,
        kind: CredentialKind,
        address: Option<IpAddr>,
        name: &str,
    ) -> Result<Attempt, RateLimited> {
        let name = keys::name(kind, name);
        let origin = address.map(|address| Origin::new(kind, address, name));
        let permits = if self.0.policy.enabled {
            self.acquire_permits(kind, origin, name).await?
        } else {
            Vec::new()
        };
        Ok(Attempt { limiter: self.clone(), kind, address, origin, name, permits })
    }

    /// Counts a wrong client secret. The secret is compared before this call: it has 256 random
    /// bits, so learning that one is wrong does not help an attacker, and a client with the correct
    /// secret is served even from an address with many failures. Only addresses have a budget
    /// (maximum of failures) here. Clients have none, so that guesses at a client's secret do not
    /// slow the client down.
    ///
    /// # Errors
    /// [`RateLimited`] when the address already had the maximum number of failures.
    pub async fn secret_failed(&self, address: Option<IpAddr>) -> Result<(), RateLimited> {
        match address.filter(|_| self.0.policy.enabled) {
            Some(address) => {
                self.count_address_failure(CredentialKind::ClientSecret, address).await
            }
            None => Ok(()),
        }
    }

    /// Counts a failed attempt against the budget (maximum number of failures) of its address. The
    /// failure that spends the budget is audited; the attempts refused afterwards are not.
    async fn count_address_failure(
        &self,
        kind: CredentialKind,
        address: IpAddr,
    ) -> Result<(), RateLimited> {
        let budget = self.0.policy.failures_per_address;
        let added = self.0.store.add(keys::address(kind, address), budget, self.now()).await;
        if !added.counted {
            return Err(self.refuse_address(kind, &added.counter));
        }
        if added.counter.total() == budget {
            audit::address_limited(kind, address);
        }
        Ok(())
    }

    /// Returns the permits (rights to run) that an attempt needs, after waiting for them. An
    /// attempt that stops waiting leaves its place to others.
    async fn acquire_permits(
        &self,
        kind: CredentialKind,
        origin: Option<Origin>,
        name: RateLimitKey,
    ) -> Result<Vec<Permit>, RateLimited> {
        let deadline = Instant::now() + MAX_WAIT;
        let (mut of_address, mut of_name) = self.recent(origin, name).await;
        let mut permits = Vec::with_capacity(2);
        // Always address before name: a fixed order prevents deadlocks.
        if let Some(Origin { address, .. }) = origin {
            let admitted =
                timeout_at(deadline, self.acquire_for_address(kind, address, of_address)).await;
            let own = admitted
                .unwrap_or_else(|_| Err(self.refuse(|refused| &refused.address, LONGEST_PAUSE)))?;
            permits.push(own.permit);
            of_address = own.failures;
            if own.has_waited {
                // Other attempts may have failed in the meantime.
                of_name = self.recent_of(name).await;
            }
        }
        match timeout_at(deadline, self.acquire_for_name(name, origin, of_address, of_name)).await {
            Ok(permit) => permits.extend(permit?),
            Err(_) => return Err(self.refuse_on_name(origin, LONGEST_PAUSE).await),
        }
        Ok(permits)
    }

    /// Returns the permit (right to run) for an attempt from `address`, or refuses the attempt if
    /// the address has the maximum number of failures.
    async fn acquire_for_address(
        &self,
        kind: CredentialKind,
        address: RateLimitKey,
        mut failures: WindowCounter,
    ) -> Result<AddressPermit, RateLimited> {
        let candidate = Candidate::within_address();
        let (mut permit, mut has_waited) = (None, false);
        loop {
            let left = self.0.policy.failures_per_address.saturating_sub(failures.total());
            if left == 0 {
                return Err(self.refuse_address(kind, &failures));
            }
            if let Some(permit) = permit {
                return Ok(AddressPermit { permit, failures, has_waited });
            }
            match self.0.queues.acquire(address, left, MAX_QUEUE, candidate) {
                Admission::Admitted(permit) => {
                    return Ok(AddressPermit { permit, failures, has_waited });
                }
                Admission::Queued(receiver) => {
                    permit = receiver.await.ok();
                    has_waited = true;
                }
                Admission::QueueFull => {
                    return Err(self.refuse(|refused| &refused.address, Duration::ZERO));
                }
            }
            failures = self.recent_of(address).await;
        }
    }

    /// Returns the permit (right to run) for an attempt on `name`. Returns `None` if the name is
    /// under attack and the attempt comes from a known device (address of an earlier login), which
    /// needs none.
    async fn acquire_for_name(
        &self,
        name: RateLimitKey,
        origin: Option<Origin>,
        of_address: WindowCounter,
        mut failures: WindowCounter,
    ) -> Result<Option<Permit>, RateLimited> {
        let limit = self.0.policy.failures_per_user;
        if failures.total() >= limit && self.is_known_device(name, origin).await {
            return Ok(None);
        }
        let mut candidate = self.candidate(origin, of_address, failures.total() >= limit).await;
        let left = limit.saturating_sub(failures.total());
        let mut admission = self.0.queues.acquire(name, left, MAX_QUEUE, candidate);
        loop {
            let permit = match admission {
                Admission::Admitted(permit) => permit,
                Admission::Queued(receiver) => {
                    let received = receiver.await;
                    failures = self.recent_of(name).await;
                    match received {
                        Ok(permit) => permit,
                        Err(_) => break,
                    }
                }
                Admission::QueueFull => break,
            };
            if permit.is_selected() || failures.total() < limit {
                return Ok(Some(permit));
            }
            candidate = self.candidate(origin, of_address, true).await;
            admission = Admission::Queued(permit.enqueue(candidate));
            tokio::spawn(self.clone().select_after_pause(permit, name, failures));
        }
        Err(self.refuse_on_name(origin, pause(failures.total(), limit)).await)
    }

    /// Waits for the next free slot (time for one attempt on `name`) and then passes the permit
    /// (right to run) to one of the waiting attempts. The slot is not reserved for one attempt: a
    /// client that hangs up would take the slot away from the others.
    async fn select_after_pause(self, permit: Permit, name: RateLimitKey, failures: WindowCounter) {
        let pause = pause(failures.total(), self.0.policy.failures_per_user);
        while permit.has_waiters() {
            if let Some(wait) = self.0.store.reserve(name, pause, MAX_WAIT, self.now()).await {
                tokio::time::sleep(wait).await;
                return permit.pass_to_selected();
            }
            // Other processes have reserved all slots within `MAX_WAIT`.
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the attempt as a candidate for selection among waiting attempts, with the failures
    /// and refusals of its address and network.
    async fn candidate(
        &self,
        origin: Option<Origin>,
        of_address: WindowCounter,
        under_attack: bool,
    ) -> Candidate {
        let mut penalty = Penalty { failures: of_address.total(), ..Penalty::default() };
        if let Some(Origin { address, network }) = origin.filter(|_| under_attack) {
            let keys = [network, keys::refusals(address)];
            let counters = self.0.store.recent(&keys, self.now()).await;
            let mut totals = counters.iter().map(WindowCounter::total);
            penalty.network_failures = totals.next().unwrap_or_default();
            penalty.refusals = totals.next().unwrap_or_default();
        }
        Candidate::new(origin, penalty)
    }

    async fn is_known_device(&self, name: RateLimitKey, origin: Option<Origin>) -> bool {
        let Some(Origin { address, .. }) = origin else { return false };
        self.0.store.is_known_device(keys::known_device(name, address), self.now()).await
    }

    /// Returns the failures in the sliding window from the origin's address, and those on `name`.
    async fn recent(
        &self,
        origin: Option<Origin>,
        name: RateLimitKey,
    ) -> (WindowCounter, WindowCounter) {
        let address = origin.map(|origin| origin.address);
        let keys: Vec<RateLimitKey> = [name].into_iter().chain(address).collect();
        let mut counters = self.0.store.recent(&keys, self.now()).await.into_iter();
        let of_name = counters.next().unwrap_or_default();
        (counters.next().unwrap_or_default(), of_name)
    }

    async fn recent_of(&self, key: RateLimitKey) -> WindowCounter {
        let counters = self.0.store.recent(&[key], self.now()).await;
        counters.first().copied().unwrap_or_default()
    }

    /// Returns the error for an attempt from an address that has the maximum number of failures,
    /// after counting the refusal in the metrics.
    fn refuse_address(&self, kind: CredentialKind, failures: &WindowCounter) -> RateLimited {
        let now = self.now();
        let counter: fn(&metrics::RateLimitMetrics) -> &IntCounter = match kind {
            CredentialKind::ClientSecret => |refused| &refused.client,
            CredentialKind::Password | CredentialKind::Operator => |refused| &refused.address,
        };
        let budget = self.0.policy.failures_per_address;
        self.refuse(counter, failures.as_of(now).time_until_below(budget, now))
    }

    /// Returns the error for an attempt that is refused because of its name. The refusal is counted
    /// for the address, and used only for the selection among waiting attempts.
    async fn refuse_on_name(&self, origin: Option<Origin>, wait: Duration) -> RateLimited {
        if let Some(Origin { address, .. }) = origin {
            self.0.store.add(keys::refusals(address), MAX_REFUSALS, self.now()).await;
        }
        self.refuse(|refused| &refused.user, wait)
    }

    /// Counts a refused attempt in the metrics, and returns the error that asks for a wait of this
    /// length.
    fn refuse(
        &self,
        counter: impl FnOnce(&metrics::RateLimitMetrics) -> &IntCounter,
        wait: Duration,
    ) -> RateLimited {
        if let Some(refused) = &self.0.refused {
            counter(refused).inc();
        }
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        RateLimited { retry_after: Duration::from_secs(seconds.max(1)) }
    }

    fn now(&self) -> Bucket {
        Bucket::at(self.0.clock.now(), self.0.policy.window)
    }
}

/// Returns the pause after an attempt on a user name with this many failures, at least `limit`.
fn pause(failures: u32, limit: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(limit)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

impl Attempt {
    /// Reports that the guessed credential was wrong. `username` is the name for the audit log, or
    /// `None` if the name must not be logged.
    ///
    /// # Errors
    /// [`RateLimited`] when concurrent failures have reached the maximum of the address; the caller
    /// must not reveal the result of the guess.
    pub async fn failed(mut self, username: Option<&str>) -> Result<(), RateLimited> {
        let LimiterState { policy, store, .. } = &*self.limiter.0;
        if !policy.enabled {
            return Ok(());
        }
        let now = self.limiter.now();
        let added = store.add(self.name, u32::MAX, now).await;
        if let Some(Origin { network, .. }) = self.origin {
            store.add(network, u32::MAX, now).await;
        }
        if added.counted && added.counter.total() == policy.failures_per_user {
            audit::name_under_attack(self.kind, username, self.address);
        }
        let counted = match self.address {
            Some(address) => self.limiter.count_address_failure(self.kind, address).await,
            None => Ok(()),
        };
        // After counting: the waiting attempts that run next must see this failure.
        self.permits.iter_mut().for_each(Permit::mark_failed);
        counted
    }

    /// Reports that the guessed credential was right, and remembers user name and address as a
    /// known device, which later attacks on the name do not slow down.
    pub async fn succeeded(self) {
        let LimiterState { policy, store, .. } = &*self.limiter.0;
        if let Some(Origin { address, .. }) = self.origin.filter(|_| policy.enabled) {
            let device = keys::known_device(self.name, address);
            store.remember_device(device, KNOWN_DEVICE_TTL, self.limiter.now()).await;
        }
    }
}
