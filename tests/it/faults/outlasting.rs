//! An outage that lasts longer than the grace time in which a refresh may be tried again.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use crate::helpers::mongod::{self, Mongod, Target};
use crate::helpers::redis::Redis;
use crate::helpers::{Answer, App, AppBuilder};

/// Much longer than `oauth.refresh_grace`, and shorter than an access token lives.
pub(super) const LONG: u64 = 1200;

/// The retry, when the outage is over.
pub(super) async fn retried(app: &App, token: &str) -> Answer {
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

/// From here on all is as always: the retry starts the grace time, and after it a replay is one.
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
async fn a_long_outage_of_redis_logs_nobody_out() {
    let mut redis = Redis::start();
    for app in [on_mongodb(&redis).await, AppBuilder::default().redis(&redis).spawn().await] {
        let (one, two) = (app.login().await, app.login().await);
        // Rotated before, and the answer did not arrive.
        app.refresh(&two.refresh_token()).await;
        redis.kill();
        // The first to notice has written, the others do not.
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
            let answer = retried(&app, &login.refresh_token()).await;
            assert_grace_begins(&app, &login.refresh_token(), &answer).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_logs_nobody_out_either() {
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
    let answer = retried(&app, &login.refresh_token()).await;
    let next = app.refresh(&answer.refresh_token()).await;
    assert!(app.is_active(&next.access_token()).await);
    // A token that was used before all that is replayed, as ever.
    app.refresh(&login.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&next.access_token()).await);
}

pub(super) async fn fail(mongod: &Mongod, mode: &str, data: Document) {
    let command = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    mongod.admin().await.run_command(command).await.unwrap();
}

/// Writes that take place, and of which the server is told that no majority has them.
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

/// It is written, and the server is told that no majority has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_mongodb_wrote_and_did_not_confirm_is_not_taken_for_used() {
    let (mongod, app) = own_server().await;
    let login = app.login().await;
    fail(&mongod, "alwaysOn", unconfirmed()).await;
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    app.advance(LONG);
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    fail(&mongod, "off", doc! {}).await;
    let answer = retried(&app, &login.refresh_token()).await;
    assert_grace_begins(&app, &login.refresh_token(), &answer).await;
}

/// The answer was lost on its way, and the retries come while there is no MongoDB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_was_in_time_is_answered_after_the_outage() {
    let (mut mongod, app) = own_server().await;
    let (login, late) = (app.login().await, app.login().await);
    let lost = app.refresh(&login.refresh_token()).await;
    app.refresh(&late.refresh_token()).await;
    mongod.kill();
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    app.advance(LONG);
    // This one comes too late, and that is so after the outage as well.
    app.refresh(&late.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    mongod.restart(&["--replSet", "rs0"]);
    let answer = retried(&app, &login.refresh_token()).await;
    assert_eq!(answer.refresh_token(), lost.refresh_token());
    app.refresh(&late.refresh_token()).await.assert_error(400, "invalid_grant");
    assert_grace_begins(&app, &login.refresh_token(), &answer).await;
}
