//! Attempts that wait for the budget of an address, in simulated time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sentinel::observe::metrics::Metrics;
use sentinel::rate_limit::{Attempt, CredentialKind, RateLimiter};
use tokio::time::{Instant, sleep};

use super::simulation::{rate_limiter, rate_limiter_with_metrics};

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
