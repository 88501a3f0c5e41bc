//! Outages that last longer than the refresh grace period.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use crate::helpers::mongod::{self, Mongod, Target};
use crate::helpers::redis::Redis;
use crate::helpers::{Answer, App, AppBuilder};

/// Seconds: much longer than `oauth.refresh_grace`, shorter than the lifetime of an access token.
pub(super) const LONG: u64 = 1200;

/// Retries a refresh until it succeeds, once the outage is over.
pub(super) async fn retry_until_answered(app: &App, token: &str) -> Answer {
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

/// Asserts that the retry starts the grace period, and that a reuse after it revokes the session.
async fn assert_grace_begins(app: &App, used: &str, answer: &Answer) {
    assert!(app.is_active(&answer.access_token()).await);
    assert_eq!(app.refresh(used).await.json()["refresh_token"], answer.json()["refresh_token"]);
    app.advance(31);
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
        for login in [&one, &two] {
            let answer = retry_until_answered(&app, &login.refresh_token()).await;
            assert_grace_begins(&app, &login.refresh_token(), &answer).await;
        }
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
    let app = builder.mongodb(&Target::on(&mongod.uri)).spawn().await;
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
    assert_grace_begins(&app, &login.refresh_token(), &answer).await;
}

/// The response was lost, and the retries arrive while MongoDB is down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_retry_within_grace_is_answered_after_mongodb_outage() {
    let (mut mongod, app) = own_server().await;
    let (login, late) = (app.login().await, app.login().await);
    let lost = app.refresh(&login.refresh_token()).await;
    app.refresh(&late.refresh_token()).await;
    mongod.kill();
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    app.advance(LONG);
    // This retry arrives after the grace period, so it fails after the outage as well.
    app.refresh(&late.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    mongod.restart(&["--replSet", "rs0"]);
    let answer = retry_until_answered(&app, &login.refresh_token()).await;
    assert_eq!(answer.refresh_token(), lost.refresh_token());
    app.refresh(&late.refresh_token()).await.assert_error(400, "invalid_grant");
    assert_grace_begins(&app, &login.refresh_token(), &answer).await;
}
