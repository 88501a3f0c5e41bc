//! Redis unreachable, frozen, flushed or full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, Process, TestResponse, mongod};

async fn on_mongodb(redis: &Redis) -> App {
    let target = mongod::replica_set().await;
    AppBuilder::default().mongodb(&target).redis(redis).spawn().await
}

/// Logs in repeatedly until the server has found Redis again.
pub(crate) async fn login_at_last(app: &App) -> TestResponse {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = app.login_with(&[]).await;
        if answer.status == 200 {
            return answer;
        }
        assert!(Instant::now() < deadline, "the server does not recover: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asserts that each response is either correct or 503, and in time.
async fn assert_right_without_redis(app: &App, login: &TestResponse) {
    let started = Instant::now();
    for _ in 0..3 {
        assert!(app.is_active(&login.access_token()).await);
        assert_eq!(app.verify(&login.access_token(), "").await.status, 200);
        assert!(!app.is_active("sna_unknown").await);
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let started = Instant::now();
    let refused = app.login_with(&[]).await;
    refused.assert_error(503, "temporarily_unavailable");
    assert!(refused.headers.contains_key("retry-after"));
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

async fn assert_eventually_removed(redis: &Redis, token: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while redis.owner(token).await.is_some() {
        assert!(Instant::now() < deadline, "it is still published");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn introspection_works_without_redis_and_no_token_is_issued() {
    let mut redis = Redis::start();
    let app = on_mongodb(&redis).await;
    let login = app.login().await;
    redis.kill();
    assert_right_without_redis(&app, &login).await;
    redis.restart();
    login_at_last(&app).await;
    // The refresh that was answered 503 took effect, and its retry returns the same pair.
    let next = app.refresh(&login.refresh_token()).await;
    assert_eq!(next.status, 200, "{next:?}");
    assert!(redis.owner(&next.access_token()).await.is_some());
    assert!(app.is_active(&next.access_token()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn introspection_works_in_time_with_frozen_redis() {
    let redis = Redis::start();
    let app = on_mongodb(&redis).await;
    let login = app.login().await;
    redis.suspend();
    assert_right_without_redis(&app, &login).await;
    redis.resume();
    login_at_last(&app).await;
    assert_eq!(app.refresh(&login.refresh_token()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_with_frozen_redis_is_503_and_delivered_later() {
    let redis = Redis::start();
    for app in [on_mongodb(&redis).await, AppBuilder::default().redis(&redis).spawn().await] {
        let (one, two) = (app.login().await, app.login().await);
        let three = app.login().await;
        assert!(app.is_active(&one.access_token()).await);
        redis.suspend();
        let calls = [one.access_token(), two.refresh_token()];
        for token in &calls {
            app.revoke(token).await.assert_error(503, "temporarily_unavailable");
            // The store has the revocation.
            assert!(!app.is_active(token).await);
            // The retry is 503 as well, because the invalidation is still pending.
            app.revoke(token).await.assert_error(503, "temporarily_unavailable");
        }
        redis.resume();
        assert_eventually_removed(&redis, &one.access_token()).await;
        assert_eventually_removed(&redis, &two.access_token()).await;
        assert!(redis.owner(&three.access_token()).await.is_some());
        for token in &calls {
            let deadline = Instant::now() + Duration::from_secs(10);
            while app.revoke(token).await.status != 200 {
                assert!(Instant::now() < deadline, "it is never done");
            }
        }
        app.revoke(&three.refresh_token()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_change_with_frozen_redis_is_delivered_later() {
    let redis = Redis::start();
    let app = on_mongodb(&redis).await;
    let login = app.login().await;
    assert!(app.is_active(&login.access_token()).await);
    redis.suspend();
    let change = sentinel::admin::UserChange { enabled: Some(false), ..Default::default() };
    let edited = app.admin.edit_user(app.user.id, &change).await;
    assert!(edited.unwrap_err().to_string().contains("its Redis invalidation failed"));
    assert!(!app.is_active(&login.access_token()).await);
    redis.resume();
    assert_eventually_removed(&redis, &login.access_token()).await;
    assert!(!app.is_active(&login.access_token()).await);
    assert!(!app.admin.user("alice").await.unwrap().enabled);
}

/// The process that ended the session has stopped; another one delivers the invalidation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_invalidation_is_delivered_by_another_process() {
    let redis = Redis::start();
    let target = mongod::replica_set().await;
    let app = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    let login = app.login().await;
    redis.suspend();
    app.revoke(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    app.stop().await;
    redis.resume();
    assert!(redis.owner(&login.access_token()).await.is_some());
    let _other = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    assert_eventually_removed(&redis, &login.access_token()).await;
}

/// The outage is logged as one of Redis, without a message about the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_outage_and_recovery_are_logged_once() {
    let mut redis = Redis::start();
    let app = AppBuilder::default().redis(&redis).spawn().await;
    let settings = [
        format!("store.path={}", app.settings.store.path.display()),
        format!("redis.url={}", redis.url),
    ];
    let arguments: Vec<&str> = settings.iter().flat_map(|set| ["--set", set]).collect();
    let process = Process::serve(app.folder.path(), &arguments);
    // The store stays when the application ends.
    let _folder = Arc::clone(&app.folder);
    app.stop().await;
    redis.kill();
    process.wait_for("Redis is unavailable; calls skip it until it answers again");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    redis.restart();
    let meanwhile = process.lines_until("Redis answers again");
    assert_eq!(meanwhile, Vec::<String>::new());
}

#[tokio::test]
async fn flushed_redis_does_not_change_state_of_tokens() {
    let redis = Redis::start();
    let app = on_mongodb(&redis).await;
    let (login, revoked) = (app.login().await, app.login().await);
    assert!(app.is_active(&login.access_token()).await);
    app.revoke(&revoked.access_token()).await;
    redis.ask::<()>(&["FLUSHALL"]).await;
    assert!(app.is_active(&login.access_token()).await);
    assert!(!app.is_active(&revoked.access_token()).await);
    let next = app.refresh(&login.refresh_token()).await;
    assert!(redis.owner(&next.access_token()).await.is_some());
    assert_eq!(app.revoke(&next.refresh_token()).await.status, 200);
    assert!(redis.strings().await.is_empty());
}

#[tokio::test]
async fn full_redis_refuses_publication_and_allows_revocation() {
    let redis = Redis::start();
    let app = on_mongodb(&redis).await;
    let login = app.login().await;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    app.login_with(&[]).await.assert_error(503, "temporarily_unavailable");
    for _ in 0..2 {
        assert!(app.is_active(&login.access_token()).await);
        assert_eq!(app.verify(&login.access_token(), "").await.status, 200);
    }
    assert_eq!(app.revoke(&login.access_token()).await.status, 200);
    assert!(!app.is_active(&login.access_token()).await);
    assert!(redis.strings().await.is_empty());
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    // Immediately, because a full Redis does not count as unreachable.
    let next = app.login().await;
    assert!(redis.owner(&next.access_token()).await.is_some());
}

/// Revocations are audited whether or not Redis could be informed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocations_without_redis_are_audited() {
    let mut redis = Redis::start();
    let mut app = AppBuilder::default().redis(&redis).spawn().await;
    let settings = [
        format!("store.path={}", app.settings.store.path.display()),
        format!("redis.url={}", redis.url),
        "password.memory_kib=64".to_owned(),
        "password.iterations=1".to_owned(),
    ];
    let arguments: Vec<&str> = settings.iter().flat_map(|set| ["--set", set]).collect();
    let process = Process::serve(app.folder.path(), &arguments);
    app.url = format!("http://{}", process.address);
    let (one, two, three) = (app.login().await, app.login().await, app.login().await);
    let next = app.refresh(&one.refresh_token()).await;
    assert_eq!(app.refresh(&next.refresh_token()).await.status, 200);
    redis.kill();

    let id = |line: String| {
        let fields: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(fields["target"], "audit");
        fields["session"].as_str().unwrap().to_owned()
    };
    app.refresh(&one.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    let replayed = id(process.wait_for("\"event\":\"replay\""));
    app.refresh(&one.refresh_token()).await.assert_error(400, "invalid_grant");
    app.revoke(&two.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    let revoked = id(process.wait_for("\"what\":\"session\""));
    app.revoke(&three.access_token()).await.assert_error(503, "temporarily_unavailable");
    let revoked_too = id(process.wait_for("\"what\":\"access token\""));
    assert!(replayed != revoked && revoked != revoked_too);
}
