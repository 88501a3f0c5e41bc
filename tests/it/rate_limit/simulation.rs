//! One hour of attack in simulated time: number of verified guesses with and without rate limiting.
//!
//! The tests use the real rate limiter with the default budgets. Tokio's paused clock replaces the
//! hour, and a sleep replaces the hash.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel::domain::{Clock, RateLimitKey, Timestamp};
use sentinel::observe::metrics::RateLimitMetrics;
use sentinel::rate_limit::{CredentialKind, RateLimitPolicy, RateLimiter};
use sentinel::store::{
    self, MemoryRateLimitStore, RateLimitOrder, RateLimitRecords, SpentBudget, StoredOrder,
};
use tokio::time::{Instant, sleep};

use super::{behind_a_proxy, login};
use crate::helpers::START;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// Time of one hash with the default parameters, on one core.
pub(super) const HASH: Duration = Duration::from_millis(13);

/// Tokio's paused clock, which advances when all tasks sleep.
struct SimulatedClock(Instant);

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        START.plus(self.0.elapsed())
    }
}

/// Known devices in memory, without the other records. The threads of a store would make Tokio's
/// paused clock advance.
#[derive(Default)]
pub(super) struct MemoryRecords {
    devices: Mutex<HashMap<RateLimitKey, Vec<u8>>>,
    pub(super) reads: AtomicU64,
}

#[async_trait]
impl RateLimitRecords for MemoryRecords {
    async fn find_devices(&self, name: &RateLimitKey) -> store::Result<Option<Vec<u8>>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.devices.lock().unwrap().get(name).cloned())
    }

    async fn put_devices(
        &self,
        name: &RateLimitKey,
        devices: &[u8],
        _: Timestamp,
    ) -> store::Result<()> {
        self.devices.lock().unwrap().insert(*name, devices.to_vec());
        Ok(())
    }

    async fn delete_devices(&self, name: &RateLimitKey) -> store::Result<()> {
        self.devices.lock().unwrap().remove(name);
        Ok(())
    }

    async fn put_spent_budgets(&self, _: &[SpentBudget], _: Timestamp) -> store::Result<()> {
        Ok(())
    }

    async fn list_spent_budgets(&self, _: Timestamp, _: u32) -> store::Result<Vec<SpentBudget>> {
        Ok(Vec::new())
    }

    async fn add_orders(&self, _: &[RateLimitOrder], _: Timestamp) -> store::Result<()> {
        Ok(())
    }

    async fn list_orders(&self) -> store::Result<Vec<StoredOrder>> {
        Ok(Vec::new())
    }
}

pub(super) fn rate_limiter(enabled: bool) -> RateLimiter {
    rate_limiter_with_metrics(enabled, None)
}

pub(super) fn rate_limiter_with_metrics(
    enabled: bool,
    refused: Option<Arc<RateLimitMetrics>>,
) -> RateLimiter {
    let (counters, records) = (Arc::new(MemoryRateLimitStore::new()), Arc::default());
    rate_limiter_on(counters, records, enabled, refused)
}

/// Creates a rate limiter with these counters and records.
pub(super) fn rate_limiter_on(
    counters: Arc<MemoryRateLimitStore>,
    records: Arc<MemoryRecords>,
    enabled: bool,
    refused: Option<Arc<RateLimitMetrics>>,
) -> RateLimiter {
    let policy = RateLimitPolicy {
        enabled,
        failures_per_address: 20,
        failures_per_user: 10,
        window: Duration::from_secs(300),
    };
    let clock = Arc::new(SimulatedClock(Instant::now()));
    RateLimiter::new(counters, records, clock, policy, refused)
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

/// Sends guesses at a rate, with addresses and names in turn. Returns the number of guesses that
/// are verified within an hour.
async fn attack(limiter: &RateLimiter, every: Duration, addresses: u32, names: u32) -> u64 {
    let verified = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + HOUR;
    for number in 0.. {
        if Instant::now() >= end {
            break;
        }
        let (limiter, verified) = (limiter.clone(), Arc::clone(&verified));
        tokio::spawn(async move {
            let (from, name) = (address(number % addresses), format!("user-{}", number % names));
            if let Ok(attempt) = limiter.admit(CredentialKind::Password, Some(from), &name).await {
                sleep(HASH).await;
                verified.fetch_add(1, Ordering::Relaxed);
                let _ = attempt.failed(None, None).await;
            }
        });
        sleep(every).await;
    }
    verified.load(Ordering::Relaxed)
}

/// One address tries a common password for each of 5,000 users, ten guesses per second.
#[tokio::test(start_paused = true)]
async fn password_spraying_from_one_address_gets_240_guesses_per_hour() {
    let every = Duration::from_millis(100);
    assert_eq!(attack(&rate_limiter(false), every, 1, 5000).await, 36_000);
    let after = attack(&rate_limiter(true), every, 1, 5000).await;
    // Twenty in five minutes, plus the inaccuracy of the window's buckets.
    assert!((240..=270).contains(&after), "{after}");
}

/// Logs in every ten minutes from the given addresses, and returns the time each login took.
async fn logins(limiter: RateLimiter, from: impl Fn(u32) -> IpAddr) -> Vec<Duration> {
    let mut waits = Vec::new();
    for number in 0..5 {
        sleep(Duration::from_secs(600)).await;
        let started = Instant::now();
        let attempt = limiter.admit(CredentialKind::Password, Some(from(number)), "user-0").await;
        attempt.unwrap().succeeded();
        waits.push(started.elapsed());
    }
    waits
}

/// 400 addresses, one user, ten guesses per second. The user logs in from new addresses, and
/// succeeds each time.
#[tokio::test(start_paused = true)]
async fn distributed_guessing_at_one_user_gets_900_guesses_per_hour() {
    let every = Duration::from_millis(100);
    assert_eq!(attack(&rate_limiter(false), every, 400, 1).await, 36_000);
    let limiter = rate_limiter(true);
    let user = tokio::spawn(logins(limiter.clone(), |number| address(0x00ff_0000 + number)));
    let after = attack(&limiter, every, 400, 1).await;
    assert!((800..=930).contains(&after), "{after}");
    let waits = user.await.unwrap();
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(15)), "{waits:?}");
}

/// 20,000 addresses, so that each guess comes from an address without recent failures. Only a known
/// device takes precedence then: the user at the address of the last login.
#[tokio::test(start_paused = true)]
async fn known_device_logs_in_at_once_during_attack_from_20000_addresses() {
    let limiter = rate_limiter(true);
    let home = address(0x00ff_0000);
    let login = limiter.admit(CredentialKind::Password, Some(home), "user-0").await;
    login.unwrap().succeeded();
    let user = tokio::spawn(logins(limiter.clone(), move |_| home));
    let after = attack(&limiter, Duration::from_millis(100), 20_000, 1).await;
    assert!((800..=930).contains(&after), "{after}");
    assert!(user.await.unwrap().iter().all(Duration::is_zero));
}

/// Password spraying over HTTP against the whole application: a guess every five seconds for an
/// hour.
#[tokio::test]
async fn password_spraying_over_http_gets_240_guesses_per_hour() {
    let mut let_through = Vec::new();
    for enabled in ["false", "true"] {
        let app = behind_a_proxy().set("throttle.enabled", enabled).spawn().await;
        let mut answers = BTreeMap::new();
        for number in 0..720 {
            let answer = login(&app, "192.0.2.1", &format!("user-{number}"), "Password1").await;
            *answers.entry(answer.status).or_insert(0) += 1;
            app.advance(5);
        }
        assert_eq!(answers.values().sum::<i32>(), 720);
        assert!(answers.keys().all(|status| [400, 429].contains(status)), "{answers:?}");
        let_through.push(answers[&400]);
    }
    assert_eq!(let_through[0], 720);
    assert!((240..=270).contains(&let_through[1]), "{let_through:?}");
}
