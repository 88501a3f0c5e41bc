//! Rate limiting of password and secret guesses: attackers are slowed, and one caller cannot lock
//! out another.
//!
//! Callers get addresses of their own by `X-Forwarded-For`, as behind a proxy on this machine.

mod addresses;
mod audit;
mod chosen_secrets;
mod clearing;
mod counters;
mod distributed_attacks;
mod known_devices;
mod networks;
mod repeated_guesses;
mod secrets;
mod shared;
mod simulation;
mod usernames;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::helpers::{App, AppBuilder, PASSWORD, TestResponse, send};

/// Settings with small budgets: 5 failures per address and 3 per user name in 5 minutes.
fn strict() -> AppBuilder {
    behind_a_proxy()
        .set("throttle.failures_per_address", "5")
        .set("throttle.failures_per_user", "3")
}

/// Settings with the default budgets, and loopback as a trusted proxy.
fn behind_a_proxy() -> AppBuilder {
    AppBuilder::default().set("server.trusted_proxies", "127.0.0.0/8")
}

/// Logs in from an address.
fn login(
    app: &App,
    from: &str,
    username: &str,
    password: &str,
) -> impl Future<Output = TestResponse> + Send + use<> {
    let id = app.client.id.as_str();
    let form = [("grant_type", "password"), ("client_id", id), ("username", username)];
    let request = app.request("POST", "/oauth/token").header("x-forwarded-for", from);
    send(request.form(&[&form[..], &[("password", password)]].concat()))
}

/// Logs in as alice with the right password.
fn right(app: &App, from: &str) -> impl Future<Output = TestResponse> + Send + use<> {
    login(app, from, "alice", PASSWORD)
}

/// Spends the budget of an address with wrong passwords for as many user names.
async fn spend(app: &App, from: &str) {
    let budget = app.settings.throttle.failures_per_address;
    for number in 0..budget {
        let answer = login(app, from, &format!("nobody-{from}-{number}"), "wrong").await;
        answer.assert_error(400, "invalid_grant");
    }
}

/// Sends different wrong passwords for a user name, each from another address, until it is under
/// attack.
async fn attack(app: &App, name: &str) {
    for number in 0..app.settings.throttle.failures_per_user {
        let (from, guess) = (format!("198.51.100.{number}"), format!("wrong-{number}"));
        let answer = login(app, &from, name, &guess).await;
        answer.assert_error(400, "invalid_grant");
    }
}

/// Starts loops that guess alice's password, each time from another /64 of one network, and a task
/// that advances the clock in real time.
fn rotating(app: &Arc<App>, loops: usize) -> Vec<JoinHandle<()>> {
    let next = Arc::new(AtomicU32::default());
    let mut tasks: Vec<_> = (0..loops)
        .map(|_| {
            let (app, next) = (Arc::clone(app), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let (from, guess) = (format!("2001:db8:0:{number:x}::1"), format!("{number}"));
                    login(&app, &from, "alice", &guess).await;
                }
            })
        })
        .collect();
    let app = Arc::clone(app);
    tasks.push(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            app.advance(1);
        }
    }));
    tasks
}

/// Stops attackers, and asserts that none has stopped by itself, as one that panics does.
#[track_caller]
fn stop<T>(attackers: &[JoinHandle<T>]) {
    assert!(attackers.iter().all(|attacker| !attacker.is_finished()), "an attacker has panicked");
    attackers.iter().for_each(JoinHandle::abort);
}

#[track_caller]
fn assert_refused(answer: &TestResponse) -> u64 {
    answer.assert_error(429, "temporarily_unavailable");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    seconds
}
