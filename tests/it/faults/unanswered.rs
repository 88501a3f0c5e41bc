//! Refresh tokens that can be retried after an outage, and those that cannot.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use super::long_outages::{
    LONG, fail, own_server, own_server_with, retry_until_answered, unconfirmed,
};
use crate::helpers::mongod::Mongod;
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, PASSWORD, all};

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

fn reading_a_session(app: &App) -> Document {
    let namespace = format!("{}.sentinel_sessions", app.settings.mongo.dbname);
    doc! { "failCommands": ["find"], "namespace": namespace }
}

/// The retry arrives within the grace period and is processed after it, with or without a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_retry_arriving_within_grace_succeeds_if_processed_later() {
    let (mongod, app) = own_server().await;
    for fails in [true, false] {
        let login = app.login().await;
        let lost = app.refresh(&login.refresh_token()).await;
        app.advance(29);
        let mut data = reading_a_session(&app);
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

/// Asserts that an unanswered refresh can be retried, but an answered one cannot be repeated.
async fn assert_no_grace(app: &App, used: &str) {
    app.advance(LONG);
    let answer = retry_until_answered(app, used).await;
    assert!(app.is_active(&answer.access_token()).await);
    app.refresh(used).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&answer.access_token()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unanswered_refresh_can_be_retried_with_zero_grace_period() {
    let builder = || AppBuilder::default().set("oauth.refresh_grace", "0");
    let (mongod, app) = own_server_with(builder()).await;
    let login = app.login().await;
    fail(&mongod, "alwaysOn", unconfirmed()).await;
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    fail(&mongod, "off", doc! {}).await;
    assert_no_grace(&app, &login.refresh_token()).await;

    let mut redis = Redis::start();
    let app = builder().redis(&redis).spawn().await;
    let login = app.login().await;
    redis.kill();
    for _ in 0..2 {
        // The first refresh is written, since the server has not yet noticed that Redis is down.
        app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    }
    redis.restart();
    assert_no_grace(&app, &login.refresh_token()).await;
}

/// A refresh token in a request with another grant type is not in use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_token_sent_with_other_grants_does_not_extend_grace() {
    let (mut mongod, app) = own_server().await;
    let (login, other) = (app.login().await, app.login().await);
    let (used, kept) = (login.refresh_token(), other.refresh_token());
    app.refresh(&used).await;
    app.refresh(&kept).await;
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
    app.refresh(&kept).await.assert_error(503, "temporarily_unavailable");
    app.advance(LONG);
    mongod.restart(&["--replSet", "rs0"]);
    retry_until_answered(&app, &kept).await;
    app.refresh(&used).await.assert_error(400, "invalid_grant");
}

/// Updated one after the other, each session would wait for the timeouts of the previous ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_unanswered_refreshes_are_updated_concurrently() {
    let (mongod, app) = own_server().await;
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(app.login().await.refresh_token());
    }
    fail(&mongod, "alwaysOn", unconfirmed()).await;
    for answer in all(tokens.iter().map(|token| app.refresh(token))).await {
        answer.assert_error(503, "temporarily_unavailable");
    }
    // A call times out after 4 s: sequential calls would not reach this number in time.
    let before = hang(&mongod, 5000, reading_a_session(&app)).await;
    let started = Instant::now();
    wait_until_hanging(&mongod, before + 16).await;
    assert!(started.elapsed() < Duration::from_secs(60));
    fail(&mongod, "off", doc! {}).await;
    app.advance(LONG);
    for token in &tokens {
        retry_until_answered(&app, token).await;
    }
}
