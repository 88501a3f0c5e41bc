//! Audit log during failures of the store or Redis: an event for every change that took effect or
//! may have taken effect.

use mongodb::bson::{Document, doc};
use sentinel::admin::{UserChange, Versions};
use serde_json::Value;
use tracing::subscriber::DefaultGuard;

use super::outages::{fail, own_server, retry_until_answered};
use crate::helpers::mongod::Mongod;
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, CapturedLog, Process};
use crate::redis::login_at_last;

/// Starts a server process on the app's store and directs the app's requests to it.
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

/// Returns the outcome and the session of the next event of this name.
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

/// Fail point: writes are applied, but reported as not confirmed by a majority.
fn unconfirmed_writes() -> Document {
    doc! { "failCommands": ["insert", "update", "delete", "findAndModify"], "appName": "sentinel",
    "writeConcernError": { "code": 64, "errmsg": "no majority" } }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unconfirmed_writes_are_audited_as_unconfirmed() {
    let (mongod, app, process) = on_mongodb().await;
    let (one, two, three) = (app.login().await, app.login().await, app.login().await);
    for _ in 0..3 {
        assert_eq!(outcome(&process, "login"), "ok");
    }
    fail(&mongod, "alwaysOn", unconfirmed_writes()).await;
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
    // The retry writes nothing. The next refresh shows that the unconfirmed one took place.
    let answer = retry_until_answered(&app, &one.refresh_token()).await;
    let last = app.refresh(&answer.refresh_token()).await;
    assert_eq!(next(&process, "refresh"), ("ok".to_owned(), refreshed));
    app.refresh(&last.refresh_token()).await;
    assert_eq!(outcome(&process, "refresh"), "ok");

    fail(&mongod, "alwaysOn", unconfirmed_writes()).await;
    app.refresh(&one.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    assert_eq!(outcome(&process, "replay"), "unconfirmed");
    fail(&mongod, "off", doc! {}).await;
}

/// MongoDB rejects the command before it applies anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_that_was_not_written_is_audited_when_its_retry_is_written() {
    let (mongod, app, process) = on_mongodb().await;
    let login = app.login().await;
    let refused = doc! { "failCommands": ["update"], "appName": "sentinel", "errorCode": 6 };
    fail(&mongod, "alwaysOn", refused).await;
    app.refresh(&login.refresh_token()).await.assert_error(503, "temporarily_unavailable");
    let (first, session) = next(&process, "refresh");
    assert_eq!(first, "unconfirmed");
    fail(&mongod, "off", doc! {}).await;
    assert_eq!(app.refresh(&login.refresh_token()).await.status, 200);
    assert_eq!(next(&process, "refresh"), ("ok".to_owned(), session));
}

/// The response right after Redis is lost depends on whether the server has noticed the loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_cannot_reach_redis_are_audited() {
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

    // At the limit of live access tokens each refresh drops one, which must be invalidated in
    // Redis.
    for _ in 0..15 {
        token = app.refresh(&token).await.refresh_token();
        assert_eq!(outcome(&process, "refresh"), "ok");
    }
    for _ in 0..20 {
        redis.suspend();
        app.refresh(&token).await.assert_error(503, "temporarily_unavailable");
        redis.resume();
        login_at_last(&app).await;
        let written = process.lines_until("\"event\":\"login\",\"outcome\":\"ok\"");
        if written.iter().any(|line| line.contains("\"event\":\"refresh\"")) {
            return;
        }
        // A refresh that was applied and then reported as failed has no audit event.
        let next = app.refresh(&token).await;
        assert_eq!(outcome(&process, "refresh"), "ok");
        token = next.refresh_token();
    }
    panic!("the server always knew of it before");
}

/// Captures the log of this thread in JSON, until the guard is dropped.
fn captured() -> (CapturedLog, DefaultGuard) {
    let log = CapturedLog::default();
    let logger = tracing_subscriber::fmt().json().flatten_event(true);
    let logger = logger.with_writer(log.clone()).finish();
    (log, tracing::subscriber::set_default(logger))
}

fn audit_events(log: &CapturedLog) -> Vec<Value> {
    let log = log.text();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == "audit").collect()
}

#[tokio::test]
async fn number_of_ended_sessions_is_audited_without_redis() {
    let mut redis = Redis::start();
    let app = AppBuilder::default().redis(&redis).spawn().await;
    let (log, _logging) = captured();
    for _ in 0..3 {
        app.login().await;
    }
    redis.kill();
    let error = app.admin.end_sessions(&Default::default()).await.unwrap_err();
    assert!(
        error.to_string().starts_with("the change is stored, but its Redis invalidation failed")
    );
    let events = audit_events(&log);
    let ended: Vec<_> = events.iter().filter(|line| line["event"] == "sessions_ended").collect();
    assert_eq!(ended.len(), 1, "{events:?}");
    assert_eq!(ended[0]["ended"], 3);
}

#[tokio::test]
async fn unconfirmed_management_changes_are_audited() {
    let (mongod, app) = own_server().await;
    let (log, _logging) = captured();
    app.login().await;
    fail(&mongod, "alwaysOn", unconfirmed_writes()).await;
    app.admin.end_sessions(&Default::default()).await.unwrap_err();
    let change = UserChange { enabled: Some(false), ..UserChange::default() };
    app.admin.edit_user(app.user.id, &change).await.unwrap_err();
    app.admin.delete_user(app.user.id, &Versions::Any).await.unwrap_err();
    app.admin.delete_client(&app.client.id, &Versions::Any).await.unwrap_err();
    fail(&mongod, "off", doc! {}).await;
    let events = audit_events(&log);
    let seen: Vec<_> = events.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(seen, ["sessions_ended", "user_changed", "user_deleted", "client_deleted"]);
    assert!(events.iter().all(|line| line["outcome"] == "unconfirmed"), "{events:?}");
    assert_eq!(events[1]["user"], app.user.id.to_string());
    assert_eq!(events[1]["enabled"], false);
    assert_eq!(events[3]["client"], app.client.id.as_str());
}
