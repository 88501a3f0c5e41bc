//! The audit log of a server whose store or Redis fails: an event for all that took effect, and for all
//! that may have.

use mongodb::bson::{Document, doc};
use sentinel::admin::UserChange;
use serde_json::Value;

use super::outlasting::{fail, own_server, retried};
use crate::helpers::mongod::Mongod;
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, Captured, Process};
use crate::redis::login_at_last;

/// A process on the store of an app, which is asked in its place from now on.
fn serve(app: &mut App, more: &[(String, String)]) -> Process {
    let quick = [("password.memory_kib", "64"), ("password.iterations", "1")];
    let quick = quick.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let settings = quick.iter().chain(more).map(|(key, value)| format!("{key}={value}"));
    let settings: Vec<String> = settings.collect();
    let arguments: Vec<&str> = settings.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let process = Process::serve(app.folder.path(), &arguments);
    app.url = format!("http://{}", process.address);
    process
}

async fn on_mongodb() -> (Mongod, App, Process) {
    let (mongod, mut app) = own_server().await;
    let mongo = &app.settings.mongo;
    let settings = [
        ("store.backend", "mongodb"),
        ("mongo.uri", mongod.uri.as_str()),
        ("mongo.dbname", mongo.dbname.as_str()),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let process = serve(&mut app, &settings);
    (mongod, app, process)
}

/// The next event of this name: its outcome, and its session.
fn next(process: &Process, event: &str) -> (String, String) {
    let line: Value =
        serde_json::from_str(&process.wait_for(&format!("\"event\":\"{event}\""))).unwrap();
    assert_eq!(line["target"], "audit");
    let text = |field: &str| line[field].as_str().unwrap_or_else(|| panic!("{line}")).to_owned();
    let outcome = text("outcome");
    assert_eq!(line["level"], if outcome == "ok" && event != "replay" { "INFO" } else { "WARN" });
    (outcome, text("session"))
}

fn outcome(process: &Process, event: &str) -> String {
    next(process, event).0
}

/// All writes take place, and the server is told that no majority has them.
fn nothing_is_confirmed() -> Document {
    doc! { "failCommands": ["insert", "update", "delete", "findAndModify"], "appName": "sentinel",
    "writeConcernError": { "code": 64, "errmsg": "no majority" } }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_did_not_confirm_is_written_down_as_that() {
    let (mongod, app, process) = on_mongodb().await;
    let (one, two, three) = (app.login().await, app.login().await, app.login().await);
    for _ in 0..3 {
        assert_eq!(outcome(&process, "login"), "ok");
    }
    fail(&mongod, "alwaysOn", nothing_is_confirmed()).await;
    app.login_with(&[]).await.assert_error(503, "temporarily_unavailable");
    assert_eq!(outcome(&process, "login"), "unconfirmed");
    app.refresh(&one.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    let (first, refreshed) = next(&process, "refresh");
    assert_eq!(first, "unconfirmed");
    for token in [two.access_token(), three.refresh_token()] {
        app.revoke(&token).await.assert_error(503, "temporarily_unavailable");
        assert_eq!(outcome(&process, "revoke"), "unconfirmed");
    }
    fail(&mongod, "off", doc! {}).await;
    // As soon as it is known, whether or not somebody tries again.
    assert_eq!(next(&process, "refresh"), ("ok".to_owned(), refreshed));
    let answer = retried(&app, &one.refresh_token()).await;
    let last = app.refresh(&answer.refresh_token()).await;
    assert_eq!(outcome(&process, "refresh"), "ok");
    app.refresh(&last.refresh_token()).await;
    assert_eq!(outcome(&process, "refresh"), "ok");

    fail(&mongod, "alwaysOn", nothing_is_confirmed()).await;
    app.refresh(&one.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    assert_eq!(outcome(&process, "replay"), "unconfirmed");
    fail(&mongod, "off", doc! {}).await;
}

/// MongoDB refuses the write before it looks at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_did_not_take_place_is_written_down_once_that_is_known() {
    let (mongod, app, process) = on_mongodb().await;
    let login = app.login().await;
    let refused = doc! { "failCommands": ["update"], "appName": "sentinel", "errorCode": 6 };
    fail(&mongod, "alwaysOn", refused).await;
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    let (first, session) = next(&process, "refresh");
    assert_eq!(first, "unconfirmed");
    fail(&mongod, "off", doc! {}).await;
    assert_eq!(next(&process, "refresh"), ("failed".to_owned(), session.clone()));
    assert_eq!(app.refresh(&login.refresh_token()).await.status, 200);
    assert_eq!(next(&process, "refresh"), ("ok".to_owned(), session));
}

/// How a server that has just lost its Redis answers depends on whether it knows that yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_took_place_without_redis_is_written_down() {
    let redis = Redis::start();
    let mut app = AppBuilder::default().redis(&redis).spawn().await;
    let settings = [
        ("store.path", app.settings.store.path.display().to_string()),
        ("redis.url", redis.url.clone()),
    ];
    let process = serve(&mut app, &settings.map(|(key, value)| (key.to_owned(), value)));
    let mut token = app.login().await.refresh_token();
    assert_eq!(outcome(&process, "login"), "ok");
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    app.login_with(&[]).await.assert_error(503, "temporarily_unavailable");
    assert_eq!(outcome(&process, "login"), "undone");
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;

    // With all of its access tokens alive, each refresh takes one away, which Redis has to be told of.
    for _ in 0..15 {
        token = app.refresh(&token).await.refresh_token();
        assert_eq!(outcome(&process, "refresh"), "ok");
    }
    for _ in 0..20 {
        redis.freeze();
        app.refresh(&token).await.assert_error(503, "temporarily_unavailable");
        redis.thaw();
        login_at_last(&app).await;
        let written = process.lines_until("\"event\":\"login\",\"outcome\":\"ok\"");
        if written.iter().any(|line| line.contains("\"event\":\"refresh\"")) {
            return;
        }
        // If it was written all the same, it is written down nowhere.
        let next = app.refresh(&token).await;
        assert_eq!(outcome(&process, "refresh"), "ok");
        token = next.refresh_token();
    }
    panic!("the server always knew of it before");
}

#[tokio::test]
async fn what_an_operator_may_have_changed_is_written_down() {
    let (mongod, app) = own_server().await;
    let log = Captured::default();
    let logger = tracing_subscriber::fmt().json().flatten_event(true);
    let logger = logger.with_writer(log.clone()).finish();
    let _logging = tracing::subscriber::set_default(logger);
    app.login().await;
    fail(&mongod, "alwaysOn", nothing_is_confirmed()).await;
    app.admin.end_sessions(&Default::default()).await.unwrap_err();
    let change = UserChange { enabled: Some(false), ..UserChange::default() };
    app.admin.edit_user(app.user.id, &change).await.unwrap_err();
    app.admin.delete_user(app.user.id).await.unwrap_err();
    app.admin.delete_client(&app.client.id).await.unwrap_err();
    fail(&mongod, "off", doc! {}).await;
    let log = log.text();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events: Vec<_> = lines.filter(|line| line["target"] == "audit").collect();
    let seen: Vec<_> = events.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(seen, ["sessions_ended", "user_changed", "user_deleted", "client_deleted"]);
    assert!(events.iter().all(|line| line["outcome"] == "unconfirmed"), "{events:?}");
    assert_eq!(events[1]["user"], app.user.id.to_string());
    assert_eq!(events[1]["enabled"], false);
    assert_eq!(events[3]["client"], app.client.id.as_str());
}
