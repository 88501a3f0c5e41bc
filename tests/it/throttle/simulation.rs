//! An hour of attack in simulated time: how many guesses are looked at, with the throttle and without.
//!
//! The throttle is the real one, with the default budgets; Tokio's clock stands in for the hour, and a
//! sleep for the hash.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sentinel::domain::{Clock, Timestamp};
use sentinel::oauth::{Guessed, Throttle, ThrottlePolicy};
use sentinel::store::MemoryAttempts;
use tokio::time::{Instant, sleep};

use super::{behind_a_proxy, login};
use crate::helpers::START;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// One core does so many hashes of the default parameters in a second.
pub(super) const HASH: Duration = Duration::from_millis(13);

/// Tokio's clock, which jumps ahead when everybody sleeps.
struct Simulated(Instant);

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        START.plus(self.0.elapsed())
    }
}

pub(super) fn throttle(enabled: bool) -> Throttle {
    let policy = ThrottlePolicy {
        enabled,
        failures_per_address: 20,
        failures_per_user: 10,
        window: Duration::from_secs(300),
    };
    let clock = Arc::new(Simulated(Instant::now()));
    Throttle::new(Arc::new(MemoryAttempts::new()), clock, policy)
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

/// Guesses sent at a rate, each in its turn from one of these addresses at one of these names; how many
/// are looked at within the hour.
async fn attack(throttle: &Throttle, every: Duration, addresses: u32, names: u32) -> u64 {
    let looked_at = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + HOUR;
    for number in 0.. {
        if Instant::now() >= end {
            break;
        }
        let (throttle, looked_at) = (throttle.clone(), Arc::clone(&looked_at));
        tokio::spawn(async move {
            let (from, name) = (address(number % addresses), format!("user-{}", number % names));
            if let Ok(attempt) = throttle.admit(Guessed::Password, Some(from), &name).await {
                sleep(HASH).await;
                looked_at.fetch_add(1, Ordering::Relaxed);
                let _ = attempt.failed(None).await;
            }
        });
        sleep(every).await;
    }
    looked_at.load(Ordering::Relaxed)
}

/// One address, a common password for each of 5,000 users, ten guesses in a second.
#[tokio::test(start_paused = true)]
async fn spraying_of_passwords_from_one_address_gets_240_guesses_in_an_hour_instead_of_36000() {
    let every = Duration::from_millis(100);
    assert_eq!(attack(&throttle(false), every, 1, 5000).await, 36_000);
    let after = attack(&throttle(true), every, 1, 5000).await;
    // Twenty in five minutes, and what the steps of the window give away.
    assert!((240..=270).contains(&after), "{after}");
}

/// The user logs in every ten minutes, from these addresses; how long each login took.
async fn logins(throttle: Throttle, from: impl Fn(u32) -> IpAddr) -> Vec<Duration> {
    let mut waits = Vec::new();
    for number in 0..5 {
        sleep(Duration::from_secs(600)).await;
        let started = Instant::now();
        let attempt = throttle.admit(Guessed::Password, Some(from(number)), "user-0").await;
        attempt.unwrap().succeeded().await;
        waits.push(started.elapsed());
    }
    waits
}

/// 400 addresses, one user, ten guesses in a second. The user comes from an address that nobody has seen,
/// and gets in each time.
#[tokio::test(start_paused = true)]
async fn distributed_guessing_at_one_user_gets_900_guesses_in_an_hour_instead_of_36000() {
    let every = Duration::from_millis(100);
    assert_eq!(attack(&throttle(false), every, 400, 1).await, 36_000);
    let throttle = throttle(true);
    let user = tokio::spawn(logins(throttle.clone(), |number| address(0x00ff_0000 + number)));
    let after = attack(&throttle, every, 400, 1).await;
    assert!((800..=930).contains(&after), "{after}");
    let waits = user.await.unwrap();
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(15)), "{waits:?}");
}

/// 20,000 addresses, so that each guess comes from one that has not failed lately. Then only those go
/// before it who are known: the user, from where the last login came from.
#[tokio::test(start_paused = true)]
async fn against_any_number_of_addresses_the_user_gets_in_from_where_the_last_login_came_from() {
    let throttle = throttle(true);
    let home = address(0x00ff_0000);
    let login = throttle.admit(Guessed::Password, Some(home), "user-0").await;
    login.unwrap().succeeded().await;
    let user = tokio::spawn(logins(throttle.clone(), move |_| home));
    let after = attack(&throttle, Duration::from_millis(100), 20_000, 1).await;
    assert!((800..=930).contains(&after), "{after}");
    assert!(user.await.unwrap().iter().all(Duration::is_zero));
}

/// The same over HTTP, against the whole application: a guess every five seconds for an hour.
#[tokio::test]
async fn over_http_a_sprayer_is_let_through_240_times_in_an_hour() {
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
