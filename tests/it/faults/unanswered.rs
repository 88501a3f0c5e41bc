//! Which refresh tokens an outage leaves to be tried again, and which not.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use super::outlasting::{LONG, fail, own_server, own_server_with, retried, unconfirmed};
use crate::helpers::mongod::Mongod;
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, PASSWORD, all};

/// Makes commands hang, with what else is to become of them.
async fn hang(mongod: &Mongod, millis: i32, data: Document) -> i64 {
    let mut all = doc! { "appName": "sentinel", "blockConnection": true, "blockTimeMS": millis };
    all.extend(data);
    let command = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": all };
    let set = mongod.admin().await.run_command(command).await.unwrap();
    i64::from(set.get_i32("count").unwrap())
}

/// Waits until so many of them do.
async fn wait_until_hanging(mongod: &Mongod, times: i64) {
    let wait =
        doc! { "waitForFailPoint": "failCommand", "timesEntered": times, "maxTimeMS": 30_000 };
    mongod.admin().await.run_command(wait).await.unwrap();
}

fn reading_a_session(app: &App) -> Document {
    let namespace = format!("{}.sentinel_sessions", app.settings.mongo.dbname);
    doc! { "failCommands": ["find"], "namespace": namespace }
}

/// The retry comes in time, and takes until after that, whether it fails or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_in_time_if_it_was_when_it_came() {
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
            answer = retried(&app, &login.refresh_token()).await;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.refresh_token(), lost.refresh_token());
    }
}

/// What was not answered was not used, even where a token that was answered cannot be used again.
async fn assert_no_grace(app: &App, used: &str) {
    app.advance(LONG);
    let answer = retried(app, used).await;
    assert!(app.is_active(&answer.access_token()).await);
    app.refresh(used).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&answer.access_token()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_grace_time_a_refresh_that_was_not_answered_can_be_sent_again() {
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
        // It is written the first time, as the server does not know yet that there is no Redis.
        app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    }
    redis.restart();
    assert_no_grace(&app, &login.refresh_token()).await;
}

/// A refresh token in a request for something else is not being used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_grants_keep_no_refresh_token_usable() {
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
    retried(&app, &kept).await;
    app.refresh(&used).await.assert_error(400, "invalid_grant");
}

/// Told one after the other, each of them would wait for the ones before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sessions_are_told_at_once() {
    let (mongod, app) = own_server().await;
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(app.login().await.refresh_token());
    }
    fail(&mongod, "alwaysOn", unconfirmed()).await;
    for answer in all(tokens.iter().map(|token| app.refresh(token))).await {
        answer.assert_error(503, "temporarily_unavailable");
    }
    // A call is given up after 4 s: of calls in a row fewer than that come within the time.
    let before = hang(&mongod, 5000, reading_a_session(&app)).await;
    let started = Instant::now();
    wait_until_hanging(&mongod, before + 16).await;
    assert!(started.elapsed() < Duration::from_secs(60));
    fail(&mongod, "off", doc! {}).await;
    app.advance(LONG);
    for token in &tokens {
        retried(&app, token).await;
    }
}
