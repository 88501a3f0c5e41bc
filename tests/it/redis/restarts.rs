//! Redis restarts with older data, or starts after the server.

use std::time::{Duration, Instant};

use crate::helpers::redis::Redis;
use crate::helpers::{AppBuilder, mongod};

/// The snapshot on disk is older than the last removal from Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_token_in_old_snapshot_is_inactive_and_unpublished() {
    let mut redis = Redis::start_with(&["--save", "3600 1000000", "--appendonly", "no"]);
    let target = mongod::replica_set().await;
    let app = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    let (kept, ended) = (app.login().await, app.login().await);
    for login in [&kept, &ended] {
        assert!(app.is_active(&login.access_token()).await);
    }
    // An invalid list of published tokens does not block the others.
    redis.ask::<()>(&["SET", &format!("sentinel:published:{:024x}", 1), "x"]).await;
    redis.ask::<()>(&["SAVE"]).await;
    assert_eq!(app.revoke(&ended.access_token()).await.status, 200);
    assert_eq!(redis.owner(&ended.access_token()).await, None);
    redis.kill();
    redis.restart();
    assert!(redis.owner(&ended.access_token()).await.is_some(), "the snapshot has it");
    // The cache before the restart would report the token as active.
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
async fn server_started_without_redis_connects_when_it_appears() {
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
