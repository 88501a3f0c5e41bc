//! Attacks from a new address each time, in simulated time: a user who respects `Retry-After` can
//! log in from a new address, and the attackers get no additional guesses.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sentinel::rate_limit::{CredentialKind, RateLimiter};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::simulation::{HASH, HOUR, rate_limiter};

/// Time from a response to the next request.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Source address of an attacker's nth request.
type Network = fn(u32) -> IpAddr;

/// A new /64 each time, all of one /48, which a rented server comes with.
fn address_in_one_48(number: u32) -> IpAddr {
    Ipv6Addr::from(0x2001_0db8_0000_0000_0000_0000_0000_0001 | u128::from(number & 0xffff) << 64)
        .into()
}

/// A new /48 each time.
fn many_48s(number: u32) -> IpAddr {
    Ipv6Addr::from(0x2600_0000_0000_0000_0000_0000_0000_0001 | u128::from(number) << 80).into()
}

/// A new /24 each time.
fn address_in_new_24(number: u32) -> IpAddr {
    IpAddr::from((0x0b00_0000_u32 + (number << 8)).to_be_bytes())
}

/// 400 networks (/24) in turn, with one address each.
fn botnet(number: u32) -> IpAddr {
    address_in_new_24(number % 400)
}

struct Attack {
    limiter: RateLimiter,
    network: Network,
    next: AtomicU32,
    verified: AtomicU32,
}

impl Attack {
    /// Starts loops that guess at alice's password, each with one guess in flight.
    fn start(
        limiter: &RateLimiter,
        network: Network,
        loops: u32,
        tasks: &mut JoinSet<()>,
    ) -> Arc<Self> {
        let (limiter, next) = (limiter.clone(), AtomicU32::default());
        let attack = Arc::new(Self { limiter, network, next, verified: AtomicU32::default() });
        for _ in 0..loops {
            let attack = Arc::clone(&attack);
            tasks.spawn(async move {
                loop {
                    attack.guess().await;
                    sleep(ROUND_TRIP).await;
                }
            });
        }
        attack
    }

    async fn guess(&self) {
        let from = (self.network)(self.next.fetch_add(1, Ordering::Relaxed));
        if let Ok(attempt) = self.limiter.admit(CredentialKind::Password, Some(from), "alice").await
        {
            sleep(HASH).await;
            self.verified.fetch_add(1, Ordering::Relaxed);
            let _ = attempt.failed(None, None).await;
        }
    }
}

/// Logs in as alice, respects `Retry-After`, and returns the time until the login was admitted.
async fn log_in(limiter: &RateLimiter, from: IpAddr) -> Duration {
    let started = Instant::now();
    loop {
        match limiter.admit(CredentialKind::Password, Some(from), "alice").await {
            Ok(attempt) => {
                sleep(HASH).await;
                drop(attempt);
                return started.elapsed();
            }
            Err(refused) => sleep(refused.retry_after).await,
        }
        if started.elapsed() > 2 * HOUR {
            return started.elapsed();
        }
    }
}

/// Attacks for an hour, then logs in from a new network several times. Returns the sorted login
/// times. The attackers get as many guesses as a single address that waits for each pause.
async fn logins_under(network: Network, loops: u32) -> Vec<Duration> {
    let (limiter, mut tasks) = (rate_limiter(true), JoinSet::new());
    let attack = Attack::start(&limiter, network, loops, &mut tasks);
    sleep(HOUR).await;
    let verified = attack.verified.load(Ordering::Relaxed);
    assert!((800..=930).contains(&verified), "{verified}");
    let mut waits = Vec::new();
    for number in 0..6_u8 {
        waits.push(log_in(&limiter, IpAddr::from([203, 0, number, 7])).await);
        sleep(Duration::from_secs(60)).await;
    }
    waits.sort_unstable();
    println!("{loops} loops: {verified} guesses in an hour, logins after {waits:?}");
    waits
}

/// Failures of the addresses in one network count against the network, however many there are.
#[tokio::test(start_paused = true)]
async fn user_logs_in_at_once_during_attack_from_one_48_prefix() {
    for loops in [3, 20] {
        let waits = logins_under(address_in_one_48, loops).await;
        assert!(waits[5] < Duration::from_secs(15), "{waits:?}");
    }
}

/// Nothing distinguishes the user from the attackers, so every other pause is awarded at random,
/// with odds of one in four. The limits are exceeded once in millions of runs.
#[tokio::test(start_paused = true)]
async fn user_logs_in_within_15_minutes_against_3_loops_of_new_networks() {
    for network in [many_48s as Network, address_in_new_24] {
        let waits = logins_under(network, 3).await;
        assert!(waits[5] < Duration::from_secs(15 * 60), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn user_logs_in_within_an_hour_against_20_loops_of_new_networks() {
    for network in [many_48s as Network, address_in_new_24] {
        let waits = logins_under(network, 20).await;
        assert!(waits[3] < Duration::from_secs(20 * 60), "{waits:?}");
        assert!(waits[5] < HOUR, "{waits:?}");
    }
}

/// The attackers disconnect before a pause is over, so no slot is reserved for them.
#[tokio::test(start_paused = true)]
async fn attackers_that_hang_up_while_waiting_do_not_delay_the_user() {
    let (limiter, mut tasks) = (rate_limiter(true), JoinSet::new());
    let attack = Attack::start(&limiter, many_48s, 1, &mut tasks);
    sleep(HOUR / 60).await;
    tasks.abort_all();
    for _ in 0..20 {
        let attack = Arc::clone(&attack);
        tasks.spawn(async move {
            loop {
                let _ = timeout(Duration::from_millis(100), attack.guess()).await;
                sleep(Duration::from_millis(700)).await;
            }
        });
    }
    for number in 0..6_u8 {
        let before = attack.next.load(Ordering::Relaxed);
        sleep(Duration::from_secs(60)).await;
        let wait = log_in(&limiter, IpAddr::from([203, 0, number, 7])).await;
        assert!(wait < Duration::from_secs(15 * 60), "{wait:?}");
        assert!(attack.next.load(Ordering::Relaxed) > before, "the attack has stopped");
    }
}

/// The attackers have been refused recently, and the user has not.
#[tokio::test(start_paused = true)]
async fn user_logs_in_at_once_during_attack_from_400_recurring_hosts() {
    let waits = logins_under(botnet, 150).await;
    assert!(waits[5] < Duration::from_secs(15), "{waits:?}");
}
