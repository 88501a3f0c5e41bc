//! A Redis that comes back with less, or with more, than it had.

use std::time::{Duration, Instant};

use crate::helpers::redis::Redis;
use crate::helpers::{AppBuilder, mongod};

/// What Redis has on disk is older than what was taken from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_from_an_old_snapshot_is_taken_down_and_not_believed() {
    let mut redis = Redis::start_with(&["--save", "3600 1000000", "--appendonly", "no"]);
    let target = mongod::replica_set().await;
    let app = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    let (kept, ended) = (app.login().await, app.login().await);
    for login in [&kept, &ended] {
        assert!(app.is_active(&login.access_token()).await);
    }
    // What is wrong with one list is in the way of no other.
    redis.ask::<()>(&["SET", &format!("sentinel:published:{:024x}", 1), "x"]).await;
    redis.ask::<()>(&["SAVE"]).await;
    assert_eq!(app.revoke(&ended.access_token()).await.status, 200);
    assert_eq!(redis.owner(&ended.access_token()).await, None);
    redis.kill();
    redis.restart();
    assert!(redis.owner(&ended.access_token()).await.is_some(), "the snapshot has it");
    // From the cache of before it would be active.
    for _ in 0..3 {
        assert!(!app.is_active(&ended.access_token()).await);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while redis.owner(&ended.access_token()).await.is_some() {
        assert!(Instant::now() < deadline, "it is still published");
        assert!(!app.is_active(&ended.access_token()).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(redis.owner(&kept.access_token()).await.is_some());
    assert!(app.is_active(&kept.access_token()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_without_redis_and_finds_it_when_it_comes() {
    let mut redis = Redis::start();
    redis.kill();
    let app = AppBuilder::default().redis(&redis).spawn().await;
    app.login_with(&[]).await.assert_error(503, "temporarily_unavailable");
    redis.restart();
    let deadline = Instant::now() + Duration::from_secs(20);
    while app.login_with(&[]).await.status != 200 {
        assert!(Instant::now() < deadline, "the server does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(redis.strings().await.len(), 1);
}
