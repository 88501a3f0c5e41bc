//! Attempts that wait for the budget of an address, in simulated time.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sentinel::domain::RateLimitKeyKind;
use sentinel::observe::metrics::Metrics;
use sentinel::rate_limit::{Attempt, CredentialKind, RateLimiter};
use sentinel::store::MemoryRateLimitStore;
use tokio::time::{Instant, sleep};

use super::simulation::{MemoryRecords, rate_limiter, rate_limiter_on, rate_limiter_with_metrics};

/// Number of attempts that an address may have in progress: its budget of failures.
const BUDGET: usize = 20;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

async fn admit(limiter: &RateLimiter, from: IpAddr, name: &str) -> Option<Attempt> {
    limiter.admit(CredentialKind::Password, Some(from), name).await.ok()
}

/// Starts as many attempts as the address may have, each with another name.
async fn admit_all(limiter: &RateLimiter) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for number in 0..BUDGET {
        attempts.push(admit(limiter, HOME, &format!("user-{number}")).await.unwrap());
    }
    attempts
}

/// The state of the name is read again after the wait.
#[tokio::test(start_paused = true)]
async fn waiting_attempt_is_delayed_if_its_name_came_under_attack() {
    let limiter = rate_limiter(true);
    let attempts = admit_all(&limiter).await;
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move {
            let admitted = admit(&limiter, HOME, "alice").await.is_some();
            (admitted, Instant::now())
        }
    });
    sleep(Duration::from_secs(1)).await;
    // The eleventh attempt is the first on a name under attack, and is admitted at once.
    for number in 0..11 {
        let attempt = admit(&limiter, IpAddr::from([198, 51, 100, number]), "alice").await;
        attempt.unwrap().failed(None, None).await.unwrap();
    }
    let given_up = Instant::now();
    drop(attempts);
    let (admitted, at) = waiting.await.unwrap();
    assert!(admitted && at - given_up >= Duration::from_millis(250), "{:?}", at - given_up);
}

#[tokio::test(start_paused = true)]
async fn address_rejection_is_counted_for_the_address_only() {
    let counts = Metrics::new(&["other"], &["ok"], 0).throttled;
    let limiter = rate_limiter_with_metrics(true, Some(Arc::clone(&counts)));
    let _attempts = admit_all(&limiter).await;
    let started = Instant::now();
    assert!(admit(&limiter, HOME, "alice").await.is_none());
    assert_eq!(started.elapsed().as_secs(), 15);
    assert_eq!((counts.address.get(), counts.user.get()), (1, 0));
}

/// Makes failures at alice, from other networks, until her name is under attack, and starts more
/// attempts at it than may run at once from these addresses.
async fn attack_alice(limiter: &RateLimiter, from: impl IntoIterator<Item = IpAddr>) {
    for number in 0..10 {
        let attempt = admit(limiter, IpAddr::from([198, 51, number, 1]), "alice").await;
        attempt.unwrap().failed(None, None).await.unwrap();
    }
    for from in from {
        for _ in 0..25 {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                if let Some(attempt) = admit(&limiter, from, "alice").await {
                    let _ = attempt.failed(None, None).await;
                }
            });
        }
    }
    sleep(Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn known_device_is_not_delayed_by_attempts_of_its_address_at_a_name_under_attack() {
    let limiter = rate_limiter(true);
    admit(&limiter, HOME, "bob").await.unwrap().succeeded();
    attack_alice(&limiter, [HOME]).await;
    let started = Instant::now();
    admit(&limiter, HOME, "bob").await.unwrap().succeeded();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_wait_for_a_name_do_not_delay_neighbours_in_their_network() {
    let limiter = rate_limiter(true);
    attack_alice(&limiter, (1..=4).map(|number| IpAddr::from([192, 0, 2, number]))).await;
    let started = Instant::now();
    let attempt = admit(&limiter, IpAddr::from([192, 0, 2, 200]), "bob").await;
    assert!(attempt.is_some());
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn attempts_from_a_network_with_a_spent_budget_create_no_counters() {
    let counters = Arc::new(MemoryRateLimitStore::new());
    let limiter = rate_limiter_on(Arc::clone(&counters), Arc::default(), true, None);
    for number in 0..3000_u16 {
        // Each from another /64 and /56 of one /48.
        let from = IpAddr::from([0x2001, 0xdb8, 0, number.rotate_left(8), 0, 0, 0, 1]);
        let _ = limiter.secret_failed(Some(from)).await;
    }
    // 640 failures, each from another address, the 256 networks of 56 bits, and the /48 itself.
    let created = counters.len(RateLimitKeyKind::Address);
    assert!((640..=897).contains(&created), "{created}");
}

#[tokio::test(start_paused = true)]
async fn refused_attempts_of_an_unknown_device_read_the_store_once_in_five_seconds() {
    let records = Arc::<MemoryRecords>::default();
    let counters = Arc::new(MemoryRateLimitStore::new());
    let limiter = rate_limiter_on(counters, Arc::clone(&records), true, None);
    for number in 0..BUDGET {
        let attempt = admit(&limiter, HOME, &format!("user-{number}")).await.unwrap();
        attempt.failed(None, None).await.unwrap();
    }
    for reads in [1, 2] {
        for _ in 0..100 {
            assert!(admit(&limiter, HOME, "alice").await.is_none());
        }
        assert_eq!(records.reads.load(Ordering::Relaxed), reads);
        sleep(Duration::from_secs(5)).await;
    }
}
