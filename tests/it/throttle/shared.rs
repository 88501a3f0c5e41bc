//! Counters that servers share over Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{assert_refused, attack, login, right, rotating, spend, strict};
use crate::helpers::App;
use crate::helpers::redis::Redis;

const HERE: &str = "192.0.2.1";

/// Two servers, each on a store of its own: they have nothing in common but Redis.
async fn two(redis: &Redis) -> (App, App) {
    let unpublished = || strict().redis(redis).set("redis.publish_tokens", "false");
    (unpublished().spawn().await, unpublished().spawn().await)
}

#[tokio::test]
async fn what_fails_at_one_server_counts_at_the_other() {
    let redis = Redis::start();
    let (one, other) = two(&redis).await;
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

/// Who has the right password gets in, at each of them, whichever was attacked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_whose_clocks_differ_do_not_refuse_each_others_users() {
    for (ahead, behind) in [(60, 0), (0, 60), (600, 0), (0, 600)] {
        let redis = Redis::start();
        let (attacked, other) = two(&redis).await;
        attacked.advance(ahead);
        other.advance(behind);
        attack(&attacked, "alice").await;
        // The first one that is slowed leaves word of when the next may come.
        login(&attacked, "198.51.100.99", "alice", "x").await.assert_error(400, "invalid_grant");
        for (number, app) in [&other, &attacked, &other].into_iter().enumerate() {
            let answer = right(app, &format!("203.0.113.{number}")).await;
            assert_eq!(answer.status, 200, "{ahead} {behind}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn who_got_in_at_one_server_does_not_wait_at_the_other() {
    let redis = Redis::start();
    let (one, other) = two(&redis).await;
    assert_eq!(right(&one, HERE).await.status, 200);
    attack(&one, "alice").await;
    let answers = crate::helpers::all((0..20).map(|_| right(&other, HERE))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

/// Somebody always waits at both, and each of them has its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn new_addresses_of_one_network_keep_nobody_out_at_any_server() {
    let redis = Redis::start();
    let (one, other) = two(&redis).await;
    attack(&one, "alice").await;
    let (one, other) = (Arc::new(one), Arc::new(other));
    let attackers: Vec<_> = rotating(&one, 3).into_iter().chain(rotating(&other, 3)).collect();
    for (app, from) in [(&one, "203.0.113.7"), (&other, "203.0.114.7")] {
        let answer = right(app, from).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    attackers.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn in_redis_are_no_names_no_addresses_and_no_strings_and_all_of_it_expires() {
    let redis = Redis::start();
    let (one, _other) = two(&redis).await;
    assert_eq!(right(&one, HERE).await.status, 200);
    attack(&one, "alice").await;
    right(&one, "192.0.2.2").await;
    let keys = redis.keys().await;
    for kind in ["address", "name", "acquaintance"] {
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

/// Each goes on with what it has seen itself; together with what was shared once Redis is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_server_counts_for_itself() {
    let mut redis = Redis::start();
    let (one, other) = two(&redis).await;
    spend(&one, HERE).await;
    assert_refused(&right(&other, HERE).await);
    redis.kill();
    let started = Instant::now();
    assert_refused(&right(&one, HERE).await);
    assert_eq!(right(&other, HERE).await.status, 200);
    spend(&other, HERE).await;
    assert_refused(&right(&other, HERE).await);
    assert_eq!(right(&one, "192.0.2.2").await.status, 200);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    redis.restart();
    assert_refused(&right(&one, HERE).await);
    assert_refused(&right(&other, HERE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_holds_up_nobody_for_long_and_a_flushed_one_frees_nobody() {
    let redis = Redis::start();
    let (one, _other) = two(&redis).await;
    spend(&one, HERE).await;
    redis.ask::<()>(&["FLUSHALL"]).await;
    assert_refused(&right(&one, HERE).await);
    redis.freeze();
    let started = Instant::now();
    for _ in 0..5 {
        assert_refused(&right(&one, HERE).await);
        assert_eq!(right(&one, "192.0.2.2").await.status, 200);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    redis.thaw();
}
