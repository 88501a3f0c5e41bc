//! Counters that servers share over Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{assert_refused, attack, login, right, rotating, spend, stop, strict};
use crate::helpers::App;
use crate::helpers::redis::Redis;

const HERE: &str = "192.0.2.1";

/// Starts two servers with separate stores, which share only Redis.
async fn start_two_servers(redis: &Redis) -> (App, App) {
    let unpublished = || strict().redis(redis).set("redis.publish_tokens", "false");
    (unpublished().spawn().await, unpublished().spawn().await)
}

#[tokio::test]
async fn failures_count_across_servers() {
    let redis = Redis::start();
    let (one, other) = start_two_servers(&redis).await;
    spend(&one, HERE).await;
    assert_refused(&right(&one, HERE).await);
    assert_eq!(assert_refused(&right(&other, HERE).await), 300);
    assert_eq!(right(&other, "192.0.2.2").await.status, 200);
    for number in 0..5 {
        let app = if number % 2 == 0 { &one } else { &other };
        login(app, "192.0.2.3", &format!("name-{number}"), "x")
            .await
            .assert_error(400, "invalid_grant");
    }
    assert_refused(&right(&one, "192.0.2.3").await);
    assert_refused(&right(&other, "192.0.2.3").await);
    for app in [&one, &other] {
        app.advance(300);
        assert_eq!(right(app, HERE).await.status, 200);
    }
}

/// The correct password succeeds on each server, whichever was attacked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clock_skew_between_servers_does_not_reject_users() {
    for (ahead, behind) in [(60, 0), (0, 60), (600, 0), (0, 600)] {
        let redis = Redis::start();
        let (attacked, other) = start_two_servers(&redis).await;
        attacked.advance(ahead);
        other.advance(behind);
        attack(&attacked, "alice").await;
        // The first delayed attempt stores the time of the next slot.
        login(&attacked, "198.51.100.99", "alice", "x").await.assert_error(400, "invalid_grant");
        for (number, app) in [&other, &attacked, &other].into_iter().enumerate() {
            let answer = right(app, &format!("203.0.113.{number}")).await;
            assert_eq!(answer.status, 200, "{ahead} {behind}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn known_device_is_shared_between_servers() {
    let redis = Redis::start();
    let builder = || strict().redis(&redis).set("redis.publish_tokens", "false");
    let one = builder().spawn().await;
    let other = builder().on(&one.folder).spawn().await;
    assert_eq!(right(&one, HERE).await.status, 200);
    attack(&one, "alice").await;
    let answers = crate::helpers::all((0..20).map(|_| right(&other, HERE))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

/// An attacker is always waiting on both servers, and each of them gets its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attack_from_one_network_locks_out_no_user_on_any_server() {
    let redis = Redis::start();
    let (one, other) = start_two_servers(&redis).await;
    attack(&one, "alice").await;
    let (one, other) = (Arc::new(one), Arc::new(other));
    let attackers: Vec<_> = rotating(&one, 3).into_iter().chain(rotating(&other, 3)).collect();
    for (app, from) in [(&one, "203.0.113.7"), (&other, "203.0.114.7")] {
        let answer = right(app, from).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    stop(&attackers);
}

#[tokio::test]
async fn redis_counters_are_expiring_hashes_without_plain_names() {
    let redis = Redis::start();
    let (one, _other) = start_two_servers(&redis).await;
    assert_eq!(right(&one, HERE).await.status, 200);
    attack(&one, "alice").await;
    right(&one, "192.0.2.2").await;
    let keys = redis.keys().await;
    for kind in ["address", "name"] {
        let prefix = format!("sentinel:throttle:{kind}:");
        assert!(keys.keys().any(|key| key.starts_with(&prefix)), "{keys:?}");
    }
    for (key, kind) in keys {
        assert_eq!(kind, "hash", "{key}");
        assert!(key.starts_with("sentinel:"), "{key}");
        let ttl: i64 = redis.ask(&["TTL", &key]).await;
        assert!(ttl > 0, "{key} stays for good");
        let all: Vec<String> = redis.ask(&["HGETALL", &key]).await;
        let text = format!("{key} {all:?}");
        for plain in ["alice", "192.0.2", "198.51.100"] {
            assert!(!text.contains(plain), "{text}");
        }
    }
}

/// Each server continues with its own counts, and with the shared ones once Redis is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_counts_locally_without_redis() {
    let mut redis = Redis::start();
    let (one, other) = start_two_servers(&redis).await;
    spend(&one, HERE).await;
    assert_refused(&right(&other, HERE).await);
    redis.kill();
    let started = Instant::now();
    assert_refused(&right(&one, HERE).await);
    assert_eq!(right(&other, HERE).await.status, 200);
    // Alice is a known device there now.
    spend(&other, HERE).await;
    assert_refused(&login(&other, HERE, "nobody", "wrong").await);
    assert_eq!(right(&one, "192.0.2.2").await.status, 200);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    redis.restart();
    assert_refused(&right(&one, HERE).await);
    assert_refused(&login(&other, HERE, "nobody", "wrong").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_or_flushed_redis_neither_delays_logins_nor_resets_budgets() {
    let redis = Redis::start();
    let (one, _other) = start_two_servers(&redis).await;
    spend(&one, HERE).await;
    redis.ask::<()>(&["FLUSHALL"]).await;
    assert_refused(&right(&one, HERE).await);
    redis.suspend();
    let started = Instant::now();
    for _ in 0..5 {
        assert_refused(&right(&one, HERE).await);
        assert_eq!(right(&one, "192.0.2.2").await.status, 200);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    redis.resume();
}
