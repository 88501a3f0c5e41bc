//! Outages that last longer than the refresh grace period, which does not run during them.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use crate::helpers::mongod::{self, Mongod, TestDatabase};
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, PASSWORD, TestResponse, send};

/// Seconds: much longer than `oauth.refresh_grace`, shorter than the lifetime of an access token.
pub(super) const LONG: u64 = 1200;

/// Retries a refresh until it succeeds, once the outage is over.
pub(super) async fn retry_until_answered(app: &App, token: &str) -> TestResponse {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = app.refresh(token).await;
        if answer.status == 200 {
            return answer;
        }
        answer.assert_error(503, "temporarily_unavailable");
        assert!(Instant::now() < deadline, "the server does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asserts that the grace period runs again after the retry, and that a reuse after it revokes the
/// session.
async fn assert_grace_runs(app: &App, used: &str, answer: &TestResponse) {
    assert!(app.is_active(&answer.access_token()).await);
    assert_eq!(app.refresh(used).await.json()["refresh_token"], answer.json()["refresh_token"]);
    app.advance(121);
    app.refresh(used).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&answer.access_token()).await);
}

async fn on_mongodb(redis: &Redis) -> App {
    let target = mongod::replica_set().await;
    AppBuilder::default().mongodb(&target).redis(redis).spawn().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_succeeds_after_redis_outage_longer_than_grace_period() {
    let mut redis = Redis::start();
    for app in [on_mongodb(&redis).await, AppBuilder::default().redis(&redis).spawn().await] {
        let (one, two) = (app.login().await, app.login().await);
        // Rotated before the outage, but the response was lost.
        app.refresh(&two.refresh_token()).await;
        redis.kill();
        // The first call detects the outage after its write; the others fail before they write.
        for login in [&one, &two, &one, &two] {
            let answer = app.refresh(&login.refresh_token()).await;
            answer.assert_error(503, "temporarily_unavailable");
        }
        app.advance(LONG);
        for login in [&one, &two] {
            let answer = app.refresh(&login.refresh_token()).await;
            answer.assert_error(503, "temporarily_unavailable");
        }
        redis.restart();
        let answer = retry_until_answered(&app, &one.refresh_token()).await;
        assert_eq!(app.refresh(&two.refresh_token()).await.status, 200);
        assert_grace_runs(&app, &one.refresh_token(), &answer).await;
        app.refresh(&two.refresh_token()).await.assert_error(400, "invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_succeeds_after_redis_was_out_of_memory() {
    let redis = Redis::start();
    let app = on_mongodb(&redis).await;
    let login = app.login().await;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..3 {
        let answer = app.refresh(&login.refresh_token()).await;
        answer.assert_error(503, "temporarily_unavailable");
        app.advance(LONG);
    }
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let answer = retry_until_answered(&app, &login.refresh_token()).await;
    let next = app.refresh(&answer.refresh_token()).await;
    assert!(app.is_active(&next.access_token()).await);
    // The retried token has been superseded by now, so its reuse is detected as usual.
    app.refresh(&login.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&next.access_token()).await);
}

pub(super) async fn fail(mongod: &Mongod, mode: &str, data: Document) {
    let command = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    mongod.admin().await.run_command(command).await.unwrap();
}

/// Fail point: writes are applied, but reported as not confirmed by a majority.
pub(super) fn unconfirmed() -> Document {
    doc! { "failCommands": ["update"], "appName": "sentinel",
    "writeConcernError": { "code": 64, "errmsg": "no majority" } }
}

pub(super) async fn own_server() -> (Mongod, App) {
    own_server_with(AppBuilder::default()).await
}

pub(super) async fn own_server_with(builder: AppBuilder) -> (Mongod, App) {
    let mongod = Mongod::start(&["--replSet", "rs0"]);
    mongod::prepare(&mongod.uri).await;
    let app = builder.mongodb(&TestDatabase::on(&mongod.uri)).spawn().await;
    (mongod, app)
}

/// The refresh is written, and MongoDB reports that no majority confirmed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unconfirmed_refresh_can_be_retried_after_long_mongodb_outage() {
    let (mongod, app) = own_server().await;
    let login = app.login().await;
    fail(&mongod, "alwaysOn", unconfirmed()).await;
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    app.advance(LONG);
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    fail(&mongod, "off", doc! {}).await;
    let answer = retry_until_answered(&app, &login.refresh_token()).await;
    assert_grace_runs(&app, &login.refresh_token(), &answer).await;
}

/// The responses were lost before MongoDB failed: what is left of the grace period counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grace_period_continues_after_mongodb_outage() {
    let (mut mongod, app) = own_server().await;
    let late = app.login().await;
    app.refresh(&late.refresh_token()).await;
    app.advance(60);
    let login = app.login().await;
    let lost = app.refresh(&login.refresh_token()).await;
    app.advance(30);
    mongod.kill();
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    app.advance(LONG);
    app.refresh(&late.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    mongod.restart(&["--replSet", "rs0"]);
    let answer = retry_until_answered(&app, &login.refresh_token()).await;
    assert_eq!(answer.refresh_token(), lost.refresh_token());
    // 90 s of the grace period were over before the outage, so 30 s are left.
    app.advance(31);
    app.refresh(&late.refresh_token()).await.assert_error(400, "invalid_grant");
    assert_eq!(app.refresh(&login.refresh_token()).await.refresh_token(), lost.refresh_token());
    assert_grace_runs(&app, &login.refresh_token(), &answer).await;
}

/// Ends the outage of ten minutes in which a refresh was written but answered 503, with a login.
async fn outage_of_ten_minutes(mongod: &Mongod, app: &App, token: &str) {
    fail(mongod, "alwaysOn", unconfirmed()).await;
    app.refresh(token).await.assert_error(503, "temporarily_unavailable");
    app.advance(600);
    fail(mongod, "off", doc! {}).await;
    app.login().await;
}

/// On a server on which nobody logs in, the grace period runs again once a probe has succeeded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage_ends_when_the_server_is_ready_again() {
    let (mongod, app) = own_server().await;
    let (soon, late) = (app.login().await, app.login().await);
    fail(&mongod, "alwaysOn", unconfirmed()).await;
    for login in [&soon, &late] {
        app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    }
    app.advance(LONG);
    fail(&mongod, "off", doc! {}).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while send(app.request("GET", "/readyz")).await.status != 200 {
        assert!(Instant::now() < deadline, "the server does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.advance(119);
    assert_eq!(app.refresh(&soon.refresh_token()).await.status, 200);
    app.advance(1);
    app.refresh(&late.refresh_token()).await.assert_error(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_retried_soon_after_outage_of_ten_minutes_gets_its_tokens() {
    let (mongod, app) = own_server().await;
    let login = app.login().await;
    outage_of_ten_minutes(&mongod, &app, &login.refresh_token()).await;
    app.advance(20);
    let answer = app.refresh(&login.refresh_token()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    app.advance(99);
    let again = app.refresh(&login.refresh_token()).await;
    assert_eq!(again.refresh_token(), answer.refresh_token());
    app.advance(1);
    app.refresh(&login.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&answer.access_token()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_of_older_token_after_outage_revokes_the_session() {
    let (mongod, app) = own_server().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    outage_of_ten_minutes(&mongod, &app, &second.refresh_token()).await;
    app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&second.access_token()).await);
    app.refresh(&second.refresh_token()).await.assert_error(400, "invalid_grant");
}

/// A restarted process has not seen the outage either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_that_saw_no_outage_applies_the_grace_period_alone() {
    let (mongod, app) = own_server().await;
    let (soon, late) = (app.login().await, app.login().await);
    for login in [&soon, &late] {
        fail(&mongod, "alwaysOn", unconfirmed()).await;
        app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    }
    fail(&mongod, "off", doc! {}).await;
    for (login, later, status) in [(&soon, 119, 200), (&late, 120, 400)] {
        let other = AppBuilder::default()
            .set("store.backend", "mongodb")
            .set("mongo.uri", &mongod.uri)
            .set("mongo.dbname", &app.settings.mongo.dbname)
            .later(later)
            .spawn()
            .await;
        let token = login.refresh_token();
        let id = app.client.id.as_str();
        let form =
            [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", token.as_str())];
        assert_eq!(other.post("/oauth/token", &form).await.status, status);
    }
}

/// Makes commands block, then succeed or fail as `data` says. Returns the fail point's count so
/// far.
async fn hang(mongod: &Mongod, millis: i32, data: Document) -> i64 {
    let mut all = doc! { "appName": "sentinel", "blockConnection": true, "blockTimeMS": millis };
    all.extend(data);
    let command = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": all };
    let set = mongod.admin().await.run_command(command).await.unwrap();
    i64::from(set.get_i32("count").unwrap())
}

/// Waits until the fail point has been entered that many times.
async fn wait_until_hanging(mongod: &Mongod, times: i64) {
    let wait =
        doc! { "waitForFailPoint": "failCommand", "timesEntered": times, "maxTimeMS": 30_000 };
    mongod.admin().await.run_command(wait).await.unwrap();
}

/// The retry arrives within the grace period and is processed after it, with or without a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_retry_arriving_within_grace_succeeds_if_processed_later() {
    let (mongod, app) = own_server().await;
    for fails in [true, false] {
        let login = app.login().await;
        let lost = app.refresh(&login.refresh_token()).await;
        app.advance(119);
        let namespace = format!("{}.sentinel_sessions", app.settings.mongo.dbname);
        let mut data = doc! { "failCommands": ["find"], "namespace": namespace };
        if fails {
            data.insert("errorCode", 6);
        }
        let before = hang(&mongod, 1000, data).await;
        let retry = tokio::spawn(app.refresh(&login.refresh_token()));
        wait_until_hanging(&mongod, before + 1).await;
        app.advance(5);
        let mut answer = retry.await.unwrap();
        fail(&mongod, "off", doc! {}).await;
        if fails {
            answer.assert_error(503, "temporarily_unavailable");
            app.advance(LONG);
            answer = retry_until_answered(&app, &login.refresh_token()).await;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.refresh_token(), lost.refresh_token());
    }
}

/// Only a refresh that is answered 503 can leave a refresh token used without a response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_requests_of_other_grants_do_not_extend_the_grace_period() {
    let (mut mongod, app) = own_server().await;
    let used = app.login().await.refresh_token();
    app.refresh(&used).await;
    mongod.kill();
    let id = app.client.id.as_str();
    for grant in ["password", "client_credentials", "none"] {
        let form = [
            ("grant_type", grant),
            ("client_id", id),
            ("username", "alice"),
            ("password", PASSWORD),
            ("refresh_token", &used),
        ];
        app.post("/oauth/token", &form).await.assert_error(503, "temporarily_unavailable");
    }
    app.advance(LONG);
    mongod.restart(&["--replSet", "rs0"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    let answer = loop {
        let answer = app.refresh(&used).await;
        if answer.status != 503 {
            break answer;
        }
        assert!(Instant::now() < deadline, "the server does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    answer.assert_error(400, "invalid_grant");
}
