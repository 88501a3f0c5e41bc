//! The rate limiter: admits attempts and counts their failures.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use prometheus::IntCounter;
use tokio::time::{Instant, timeout_at};

use super::devices::Devices;
use super::keys::{self, AddressBudget, Origin};
use super::queue::{Admission, Permit, Queues};
use super::repeated_guesses::RepeatedGuesses;
use super::selection::{Candidate, Penalty};
use super::spent_budgets::SpentBudgets;
use super::{CredentialKind, RateLimitPolicy, RateLimited, audit};
use crate::domain::{Bucket, Clock, RateLimitKey, Timestamp, WindowCounter};
use crate::observe::metrics;
use crate::store::{RateLimitRecords, RateLimitStore, SpentBudget};

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

/// Minimum of the number of attempts from one network that may run at once. It leaves most of the
/// hash queue (`password.queue`) to others.
const MIN_NETWORK_CONCURRENCY: u32 = 64;

/// Limits the attempts to authenticate in a server process. Clones share all state.
#[derive(Clone)]
pub struct RateLimiter(Arc<LimiterState>);

struct LimiterState {
    policy: RateLimitPolicy,
    store: Arc<dyn RateLimitStore>,
    devices: Devices,
    clock: Arc<dyn Clock>,
    refused: Option<Arc<metrics::RateLimitMetrics>>,
    queues: Arc<Queues>,
    repeated_guesses: RepeatedGuesses,
    spent: SpentBudgets,
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
    permits: Permits,
}

/// Permits (rights) to run an attempt.
enum Permits {
    /// Rate limits are switched off.
    Unlimited,
    /// Permits of the budgets of the address, and of the name.
    Ordinary(Vec<Permit>),
    /// Permit of a known device, which has a budget of its own.
    KnownDevice(Permit),
}

/// Failures in the sliding window that decide about an attempt.
struct Failures {
    of_name: WindowCounter,
    /// Budgets of the address, that of the address itself first, each with its failures.
    of_address: Vec<(AddressBudget, WindowCounter)>,
}

impl RateLimiter {
    /// Creates a rate limiter that keeps its counters in `store` and known devices in `records`,
    /// and counts refused attempts in the metrics `refused`.
    pub fn new(
        store: Arc<dyn RateLimitStore>,
        records: Arc<dyn RateLimitRecords>,
        clock: Arc<dyn Clock>,
        policy: RateLimitPolicy,
        refused: Option<Arc<metrics::RateLimitMetrics>>,
    ) -> Self {
        Self(Arc::new(LimiterState {
            policy,
            store,
            devices: Devices::new(records),
            clock,
            refused,
            queues: Arc::default(),
            repeated_guesses: RepeatedGuesses::new(),
            spent: SpentBudgets::default(),
        }))
    }

    /// Waits until the known devices of the last logins are in the store, at most two seconds.
    pub async fn finish(&self) {
        self.0.devices.finish().await;
    }

    /// Returns the spent budgets of this process.
    pub(super) fn spent_budgets(&self) -> &SpentBudgets {
        &self.0.spent
    }

    /// Forgets the known devices of a name that are in the memory of this process.
    pub(super) fn forget_devices(&self, name: RateLimitKey, now: Timestamp) {
        self.0.devices.forget(name, now);
    }

    /// Returns the storage of the counters.
    pub(super) fn counters(&self) -> &dyn RateLimitStore {
        &*self.0.store
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
        let mut attempt = Attempt {
            limiter: self.clone(),
            kind,
            address,
            origin,
            name,
            permits: Permits::Unlimited,
        };
        if self.0.policy.enabled {
            attempt.permits = self.acquire_permits(&attempt).await?;
        }
        Ok(attempt)
    }

    /// Counts a wrong client secret of the form that Sentinel generates. Such a secret is compared
    /// before this call: it has 256 random bits, so learning that one is wrong does not help an
    /// attacker, and a client with the correct secret is served even from an address with many
    /// failures. Only addresses have a budget (maximum of failures) here. Clients have none, so
    /// that guesses at a client's secret do not slow the client down.
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

    /// Counts a wrong guess at a further name that was tried in one attempt, as the two readings of
    /// a Basic header are. `username` is the name for the audit log, or `None` if the name must not
    /// be logged.
    pub async fn name_failed(
        &self,
        kind: CredentialKind,
        address: Option<IpAddr>,
        name: &str,
        username: Option<&str>,
    ) {
        if self.0.policy.enabled {
            self.count_name_failure(kind, address, keys::name(kind, name), username).await;
        }
    }

    async fn count_name_failure(
        &self,
        kind: CredentialKind,
        address: Option<IpAddr>,
        name: RateLimitKey,
        username: Option<&str>,
    ) {
        let limit = self.name_limit(kind);
        let added = self.0.store.add(name, u32::MAX, self.now()).await;
        if added.counter.total() == limit {
            audit::name_under_attack(kind, username, address);
        }
        if added.counter.total() >= limit {
            self.record_spent(kind, name, username.map(str::to_owned), &added.counter, limit);
        }
    }

    /// Counts a failed attempt against the budgets (maximum numbers of failures) of its address and
    /// the networks around it, or refuses it if one of them is spent. A refused attempt is not
    /// counted, so one address cannot spend the budget of its network, and a network whose budget
    /// is spent creates no further counters.
    async fn count_address_failure(
        &self,
        kind: CredentialKind,
        address: IpAddr,
    ) -> Result<(), RateLimited> {
        let budgets = self.address_failures(kind, address).await;
        self.check_budgets(kind, &budgets)?;
        let mut budgets = budgets.into_iter().map(|(budget, _)| budget);
        let own = budgets.next();
        // Concurrent failures may have spent the budget of the address since.
        let of_address = join_all(own.map(|own| self.count_failure(kind, address, own))).await;
        let mut wait = of_address.into_iter().flatten().max();
        if wait.is_none() {
            let counted = budgets.map(|budget| self.count_failure(kind, address, budget));
            wait = join_all(counted).await.into_iter().flatten().max();
        }
        wait.map_or(Ok(()), |wait| Err(self.refuse_address(kind, wait)))
    }

    /// Counts a failed attempt against one budget. If the budget is spent already, returns the time
    /// until fewer failures count. The failure that spends a budget is audited; the attempts
    /// refused afterwards are not.
    async fn count_failure(
        &self,
        kind: CredentialKind,
        address: IpAddr,
        budget: AddressBudget,
    ) -> Option<Duration> {
        let now = self.now();
        let added = self.0.store.add(budget.key, budget.limit, now).await;
        if !added.counted {
            return Some(added.counter.time_until_below(budget.limit, now));
        }
        if added.counter.total() == budget.limit {
            match budget.is_address {
                true => audit::address_limited(kind, address),
                false => audit::network_limited(kind, budget.network),
            }
            self.record_spent_address(kind, &budget, &added.counter);
        }
        None
    }

    /// Refuses an attempt if the budget of its address or of a network around it is spent.
    fn check_budgets(
        &self,
        kind: CredentialKind,
        budgets: &[(AddressBudget, WindowCounter)],
    ) -> Result<(), RateLimited> {
        let now = self.now();
        let mut longest = None;
        for (budget, failures) in budgets.iter().filter(|(budget, spent)| budget.is_spent(spent)) {
            // Another server may have counted the failures, or this one before a restart.
            self.record_spent_address(kind, budget, failures);
            longest = longest.max(Some(failures.as_of(now).time_until_below(budget.limit, now)));
        }
        longest.map_or(Ok(()), |wait| Err(self.refuse_address(kind, wait)))
    }

    /// Records that the budget of an address or network is spent, for the operator's list.
    fn record_spent_address(
        &self,
        kind: CredentialKind,
        budget: &AddressBudget,
        failures: &WindowCounter,
    ) {
        let network = budget.network;
        let is_single = network.prefix_len() == network.max_prefix_len();
        let subject = if is_single { network.addr().to_string() } else { network.to_string() };
        self.record_spent(kind, budget.key, Some(subject), failures, budget.limit);
    }

    /// Records that a budget is spent, for the operator's list.
    fn record_spent(
        &self,
        kind: CredentialKind,
        key: RateLimitKey,
        subject: Option<String>,
        failures: &WindowCounter,
        limit: u32,
    ) {
        let now = self.now();
        let until = now.time.plus(failures.as_of(now).time_until_below(limit, now));
        let guessed = kind.as_str().to_owned();
        self.0.spent.add(SpentBudget { key, guessed, subject, until }, now.time);
    }

    /// Returns the permits (rights to run) that an attempt needs, after waiting for them. An
    /// attempt that stops waiting leaves its place to others. A known device that would be refused
    /// or delayed because of other attempts gets a permit of its own.
    async fn acquire_permits(&self, attempt: &Attempt) -> Result<Permits, RateLimited> {
        let deadline = Instant::now() + MAX_WAIT;
        let failures = self.failures(attempt).await;
        if let Some(permits) = self.try_acquire(attempt, &failures) {
            return Ok(Permits::Ordinary(permits));
        }
        if let Some(permit) = self.acquire_for_device(attempt, deadline).await {
            return Ok(Permits::KnownDevice(permit));
        }
        self.acquire_ordinary(attempt, failures, deadline).await.map(Permits::Ordinary)
    }

    /// Returns all permits of an attempt that is neither refused nor has to wait.
    fn try_acquire(&self, attempt: &Attempt, failures: &Failures) -> Option<Vec<Permit>> {
        let Failures { of_name, of_address } = failures;
        let left = self.name_limit(attempt.kind).saturating_sub(of_name.total());
        if left == 0 || of_address.iter().any(|(budget, spent)| budget.is_spent(spent)) {
            return None;
        }
        let of_budgets =
            of_address.iter().map(|(budget, spent)| (budget.key, self.concurrency(budget, spent)));
        let permits = of_budgets.chain([(attempt.name, left)]);
        permits.map(|(key, most)| self.0.queues.try_acquire(key, most)).collect()
    }

    /// Returns how many attempts may run at once within the budget of an address or network: as
    /// many as failures are left.
    fn concurrency(&self, budget: &AddressBudget, spent: &WindowCounter) -> u32 {
        let most = match budget.is_address {
            true => u32::MAX,
            false => self.0.policy.failures_per_address.max(MIN_NETWORK_CONCURRENCY),
        };
        budget.limit.saturating_sub(spent.total()).min(most)
    }

    /// Returns the permit of a known device; `None` if the attempt comes from an unknown device, or
    /// the device itself has too many failures.
    async fn acquire_for_device(&self, attempt: &Attempt, deadline: Instant) -> Option<Permit> {
        let (address, origin) = (attempt.address?, attempt.origin?);
        let limit = self.0.policy.failures_per_user;
        let left = async || {
            let failures = self.recent_of(origin.device_budget).await;
            Some(limit.saturating_sub(failures.total())).filter(|left| *left > 0)
        };
        let now = self.now().time;
        if !self.0.devices.contains(attempt.name, address, origin, now).await {
            return None;
        }
        let candidate = Candidate::within_address();
        match self.0.queues.acquire(origin.device_budget, left().await?, MAX_QUEUE, candidate) {
            Admission::Admitted(permit) => Some(permit),
            Admission::Queued(receiver) => {
                let permit = timeout_at(deadline, receiver).await.ok()?.ok()?;
                left().await.map(|_| permit)
            }
            Admission::QueueFull => None,
        }
    }

    async fn acquire_ordinary(
        &self,
        attempt: &Attempt,
        failures: Failures,
        deadline: Instant,
    ) -> Result<Vec<Permit>, RateLimited> {
        self.check_budgets(attempt.kind, &failures.of_address)?;
        // Always the address, then the name, then the networks: a fixed order prevents deadlocks.
        // An attempt may wait long for a name under attack, and holds no permit of a network
        // meanwhile, so that it does not delay its neighbours.
        let mut budgets = failures.of_address.into_iter();
        let (mut permits, mut own_failures) = (Vec::new(), WindowCounter::default());
        if let Some((budget, _)) = budgets.next() {
            let (permit, spent) = self.acquire_for_address(attempt.kind, &budget, deadline).await?;
            permits.push(permit);
            own_failures = spent;
        }
        // Other attempts on the name may have failed in the meantime.
        let of_name = self.recent_of(attempt.name).await;
        match timeout_at(deadline, self.acquire_for_name(attempt, own_failures, of_name)).await {
            Ok(permit) => permits.push(permit?),
            Err(_) => return Err(self.refuse_on_name(attempt.origin, LONGEST_PAUSE).await),
        }
        for (budget, _) in budgets {
            permits.push(self.acquire_for_address(attempt.kind, &budget, deadline).await?.0);
        }
        Ok(permits)
    }

    /// Returns the permit (right to run) for an attempt within the budget of an address or network,
    /// with the failures that count there, or refuses the attempt if the budget is spent or the
    /// wait too long.
    async fn acquire_for_address(
        &self,
        kind: CredentialKind,
        budget: &AddressBudget,
        deadline: Instant,
    ) -> Result<(Permit, WindowCounter), RateLimited> {
        let candidate = Candidate::within_address();
        let mut permit = None;
        loop {
            let failures = self.recent_of(budget.key).await;
            self.check_budgets(kind, &[(*budget, failures)])?;
            if let Some(permit) = permit {
                return Ok((permit, failures));
            }
            let most = self.concurrency(budget, &failures);
            match self.0.queues.acquire(budget.key, most, MAX_QUEUE, candidate) {
                Admission::Admitted(permit) => return Ok((permit, failures)),
                Admission::Queued(receiver) => {
                    let received = timeout_at(deadline, receiver).await;
                    let received = received
                        .map_err(|_| self.refuse(|refused| &refused.address, LONGEST_PAUSE))?;
                    permit = received.ok();
                }
                Admission::QueueFull => {
                    return Err(self.refuse(|refused| &refused.address, Duration::ZERO));
                }
            }
        }
    }

    /// Returns the permit (right to run) for an attempt on `name`, after a pause if the name is
    /// under attack.
    async fn acquire_for_name(
        &self,
        attempt: &Attempt,
        of_address: WindowCounter,
        mut failures: WindowCounter,
    ) -> Result<Permit, RateLimited> {
        let (name, origin, limit) = (attempt.name, attempt.origin, self.name_limit(attempt.kind));
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
                return Ok(permit);
            }
            candidate = self.candidate(origin, of_address, true).await;
            admission = Admission::Queued(permit.enqueue(candidate));
            tokio::spawn(self.clone().select_after_pause(
                permit,
                name,
                pause(failures.total(), limit),
            ));
        }
        Err(self.refuse_on_name(origin, pause(failures.total(), limit)).await)
    }

    /// Waits for the next free slot (time for one attempt on `name`) and then passes the permit
    /// (right to run) to one of the waiting attempts. The slot is not reserved for one attempt: a
    /// client that hangs up would take the slot away from the others.
    async fn select_after_pause(self, permit: Permit, name: RateLimitKey, pause: Duration) {
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
        if let Some(Origin { address, network, .. }) = origin.filter(|_| under_attack) {
            let keys = [network, keys::refusals(address)];
            let counters = self.0.store.recent(&keys, self.now()).await;
            let mut totals = counters.iter().map(WindowCounter::total);
            penalty.network_failures = totals.next().unwrap_or_default();
            penalty.refusals = totals.next().unwrap_or_default();
        }
        Candidate::new(origin, penalty)
    }

    /// Returns the number of failures after which a name of this kind is under attack. The guesses
    /// at a client that come from one address end with the budget of the address, so that a service
    /// with a wrong secret does not slow its own client down.
    fn name_limit(&self, kind: CredentialKind) -> u32 {
        let RateLimitPolicy { failures_per_address, failures_per_user, .. } = self.0.policy;
        match kind {
            CredentialKind::Password | CredentialKind::Operator => failures_per_user,
            CredentialKind::ClientSecret => failures_per_user.max(failures_per_address),
        }
    }

    /// Returns the failures in the sliding window on the attempt's name, and from its address.
    async fn failures(&self, attempt: &Attempt) -> Failures {
        let budgets = attempt.address.map(|address| self.budgets(attempt.kind, address));
        let budgets = budgets.unwrap_or_default();
        let of_budgets = budgets.iter().map(|budget| budget.key);
        let keys: Vec<RateLimitKey> = [attempt.name].into_iter().chain(of_budgets).collect();
        let mut counters = self.0.store.recent(&keys, self.now()).await.into_iter();
        let of_name = counters.next().unwrap_or_default();
        Failures { of_name, of_address: budgets.into_iter().zip(counters).collect() }
    }

    /// Returns the budgets of an address, that of the address itself first, each with its failures
    /// in the sliding window.
    async fn address_failures(
        &self,
        kind: CredentialKind,
        address: IpAddr,
    ) -> Vec<(AddressBudget, WindowCounter)> {
        let budgets = self.budgets(kind, address);
        let keys: Vec<RateLimitKey> = budgets.iter().map(|budget| budget.key).collect();
        let counters = self.0.store.recent(&keys, self.now()).await;
        budgets.into_iter().zip(counters).collect()
    }

    fn budgets(&self, kind: CredentialKind, address: IpAddr) -> Vec<AddressBudget> {
        keys::budgets(kind, address, self.0.policy.failures_per_address)
    }

    async fn recent_of(&self, key: RateLimitKey) -> WindowCounter {
        let counters = self.0.store.recent(&[key], self.now()).await;
        counters.first().copied().unwrap_or_default()
    }

    /// Returns the error for an attempt from an address or network that has the maximum number of
    /// failures, after counting the refusal in the metrics. `wait` is the time until fewer count.
    fn refuse_address(&self, kind: CredentialKind, wait: Duration) -> RateLimited {
        let counter: fn(&metrics::RateLimitMetrics) -> &IntCounter = match kind {
            CredentialKind::ClientSecret => |refused| &refused.client,
            CredentialKind::Password | CredentialKind::Operator => |refused| &refused.address,
        };
        self.refuse(counter, wait)
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
    /// `None` if the name must not be logged. `guess` is the wrong password, which counts once if
    /// it is repeated; `None` counts every failure.
    ///
    /// # Errors
    /// [`RateLimited`] when concurrent failures have reached the maximum of the address; the caller
    /// must not reveal the result of the guess.
    pub async fn failed(
        mut self,
        username: Option<&str>,
        guess: Option<&str>,
    ) -> Result<(), RateLimited> {
        let LimiterState { policy, store, repeated_guesses, .. } = &*self.limiter.0;
        let now = self.limiter.now();
        let is_repeated = |guess: &str| {
            repeated_guesses.is_repeated(self.kind, self.address, self.name, guess, now.time)
        };
        if !policy.enabled || guess.is_some_and(is_repeated) {
            return Ok(());
        }
        self.limiter.count_name_failure(self.kind, self.address, self.name, username).await;
        if let Some(Origin { network, .. }) = self.origin {
            store.add(network, u32::MAX, now).await;
        }
        let counted = match (&mut self.permits, self.origin, self.address) {
            // A known device is refused only for its own failures, and these do not count against
            // the address.
            (Permits::KnownDevice(permit), Some(Origin { device_budget, .. }), _) => {
                let added = store.add(device_budget, u32::MAX, now).await;
                permit.mark_failed();
                let (subject, limit) = (username.map(str::to_owned), policy.failures_per_user);
                if added.counter.total() >= limit {
                    let failures = &added.counter;
                    self.limiter.record_spent(self.kind, device_budget, subject, failures, limit);
                }
                return Ok(());
            }
            (_, _, Some(address)) => self.limiter.count_address_failure(self.kind, address).await,
            (_, _, None) => Ok(()),
        };
        // After counting: the waiting attempts that run next must see this failure.
        if let Permits::Ordinary(permits) = &mut self.permits {
            permits.iter_mut().for_each(Permit::mark_failed);
        }
        counted
    }

    /// Reports that the guessed credential was right, and remembers user name and address as a
    /// known device, which failures of others do not slow down.
    pub fn succeeded(self) {
        let LimiterState { policy, devices, .. } = &*self.limiter.0;
        if let (true, Some(address), Some(origin)) = (policy.enabled, self.address, self.origin) {
            devices.remember(self.name, address, origin, self.limiter.now().time);
        }
    }
}
