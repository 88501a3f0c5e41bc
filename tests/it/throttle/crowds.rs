//! Attackers who come from another address each time, in simulated time: somebody who waits as long as
//! is asked gets in from an address that is new, and they get no more guesses for it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sentinel::oauth::{Guessed, Throttle};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::simulation::{HASH, HOUR, throttle};

/// From an answer to the next request.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Where the attackers' next request comes from.
type Network = fn(u32) -> IpAddr;

/// A fresh /64 each time, all of one /48, as anybody has who rents a server.
fn one_48(number: u32) -> IpAddr {
    Ipv6Addr::from(0x2001_0db8_0000_0000_0000_0000_0000_0001 | u128::from(number & 0xffff) << 64)
        .into()
}

/// A fresh /48 each time.
fn many_48s(number: u32) -> IpAddr {
    Ipv6Addr::from(0x2600_0000_0000_0000_0000_0000_0000_0001 | u128::from(number) << 80).into()
}

/// A fresh /24 each time.
fn many_24s(number: u32) -> IpAddr {
    IpAddr::from((0x0b00_0000_u32 + (number << 8)).to_be_bytes())
}

/// Four hundred /24s in turn, each with one address.
fn botnet(number: u32) -> IpAddr {
    many_24s(number % 400)
}

struct Attack {
    throttle: Throttle,
    network: Network,
    next: AtomicU32,
    looked_at: AtomicU32,
}

impl Attack {
    /// So many loops, each with one guess at alice in flight at a time.
    fn start(
        throttle: &Throttle,
        network: Network,
        loops: u32,
        tasks: &mut JoinSet<()>,
    ) -> Arc<Self> {
        let (throttle, next) = (throttle.clone(), AtomicU32::default());
        let attack = Arc::new(Self { throttle, network, next, looked_at: AtomicU32::default() });
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
        if let Ok(attempt) = self.throttle.admit(Guessed::Password, Some(from), "alice").await {
            sleep(HASH).await;
            self.looked_at.fetch_add(1, Ordering::Relaxed);
            let _ = attempt.failed(None).await;
        }
    }
}

/// How long it takes alice to get in, who comes back when she is told to.
async fn log_in(throttle: &Throttle, from: IpAddr) -> Duration {
    let started = Instant::now();
    loop {
        match throttle.admit(Guessed::Password, Some(from), "alice").await {
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

/// An hour of it, then logins, each from a network of its own: how long they took, the shortest first. The
/// guesses in that hour are as many as one address gets that waits for each pause.
async fn logins_under(network: Network, loops: u32) -> Vec<Duration> {
    let (throttle, mut tasks) = (throttle(true), JoinSet::new());
    let attack = Attack::start(&throttle, network, loops, &mut tasks);
    sleep(HOUR).await;
    let looked_at = attack.looked_at.load(Ordering::Relaxed);
    assert!((800..=930).contains(&looked_at), "{looked_at}");
    let mut waits = Vec::new();
    for number in 0..6_u8 {
        waits.push(log_in(&throttle, IpAddr::from([203, 0, number, 7])).await);
        sleep(Duration::from_secs(60)).await;
    }
    waits.sort_unstable();
    println!("{loops} loops: {looked_at} guesses in an hour, logins after {waits:?}");
    waits
}

/// However many addresses it has: what has failed there stands against all of them.
#[tokio::test(start_paused = true)]
async fn against_one_network_with_a_new_address_for_each_guess_the_user_gets_in_at_once() {
    for loops in [3, 20] {
        let waits = logins_under(one_48, loops).await;
        assert!(waits[5] < Duration::from_secs(15), "{waits:?}");
    }
}

/// Nothing tells the user from them. So chance decides, which is one in four at every other pause; the
/// bounds are such that they are missed once in millions of runs.
#[tokio::test(start_paused = true)]
async fn against_three_loops_with_a_new_network_for_each_guess_the_user_gets_in_within_minutes() {
    for network in [many_48s as Network, many_24s] {
        let waits = logins_under(network, 3).await;
        assert!(waits[5] < Duration::from_secs(15 * 60), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn against_twenty_loops_with_a_new_network_for_each_guess_the_user_gets_in_too() {
    for network in [many_48s as Network, many_24s] {
        let waits = logins_under(network, 20).await;
        assert!(waits[3] < Duration::from_secs(20 * 60), "{waits:?}");
        assert!(waits[5] < HOUR, "{waits:?}");
    }
}

/// They come and go, and are never there when a pause is over. No free moment is taken for them.
#[tokio::test(start_paused = true)]
async fn who_hangs_up_while_waiting_keeps_nobody_waiting_longer() {
    let (throttle, mut tasks) = (throttle(true), JoinSet::new());
    let attack = Attack::start(&throttle, many_48s, 1, &mut tasks);
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
        sleep(Duration::from_secs(60)).await;
        let wait = log_in(&throttle, IpAddr::from([203, 0, number, 7])).await;
        assert!(wait < Duration::from_secs(15 * 60), "{wait:?}");
    }
}

/// They have been refused lately, and the user has not.
#[tokio::test(start_paused = true)]
async fn against_four_hundred_hosts_that_come_again_and_again_the_user_gets_in_at_once() {
    let waits = logins_under(botnet, 150).await;
    assert!(waits[5] < Duration::from_secs(15), "{waits:?}");
}
