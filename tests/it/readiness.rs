//! `/readyz`: whether a write would succeed now, answered without waiting for one.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use crate::helpers::mongod::{self, Mongod, TestDatabase};
use crate::helpers::{App, AppBuilder, Process, send, sentinel};

/// Maximum time of a response that waits for no write.
const AT_ONCE: Duration = Duration::from_secs(1);

async fn ready(app: &App) -> u16 {
    let started = Instant::now();
    let answer = send(app.request("GET", "/readyz")).await;
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    match answer.status {
        200 => assert_eq!(answer.text, r#"{"status":"ok"}"#),
        _ => {
            answer.assert_error(503, "temporarily_unavailable");
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        }
    }
    answer.status
}

async fn wait_for_ready(app: &App, status: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while ready(app).await != status {
        assert!(Instant::now() < deadline, "it is never {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_and_dashboard_do_not_wait_for_another_writer() {
    let app = AppBuilder::default()
        .set("management.username", "operator")
        .set("management.password", "operators-own-password")
        .spawn()
        .await;
    assert_eq!(ready(&app).await, 200, "as soon as it listens");
    let other = rusqlite::Connection::open(app.folder.path().join("sentinel.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The last write is two seconds old at most.
    wait_for_ready(&app, 503).await;
    let started = Instant::now();
    let page = app.request("GET", "/oauth/management");
    let page = send(page.basic_auth("operator", Some("operators-own-password"))).await;
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    assert_eq!(page.status, 200, "{page:?}");
    other.execute_batch("ROLLBACK").unwrap();
    wait_for_ready(&app, 200).await;
    app.login().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_that_starts_on_a_full_disk_is_not_ready_until_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let add = sentinel(folder.path()).args(["client", "add"]).output().unwrap();
    assert!(add.status.success(), "{add:?}");
    // This connection keeps the files beside the store, which a full disk would not allow to be
    // created.
    let other = rusqlite::Connection::open(folder.path().join("data/sentinel.db")).unwrap();
    other.execute_batch("PRAGMA user_version").unwrap();
    let version: i64 = other.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    other.pragma_update(None, "user_version", version).unwrap();
    // No file may grow, as on a full disk: writes fail.
    let mut command = Command::new("sh");
    command.current_dir(folder.path()).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 0; exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_sentinel"));
    command.args(["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json"]);
    let process = Process::start(command);
    let http = reqwest::Client::new();
    let ready =
        || async { send(http.get(format!("http://{}/readyz", process.address))).await.status };
    assert_eq!(ready().await, 503, "as soon as it listens");
    let id = process.id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited:"]).status();
    assert!(raised.unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(20);
    while ready().await != 200 {
        assert!(Instant::now() < deadline, "it is never ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_is_not_ready_while_mongodb_answers_and_confirms_no_write() {
    let mongod = Mongod::start(&["--replSet", "rs0"]);
    mongod::prepare(&mongod.uri).await;
    let app = AppBuilder::default().mongodb(&TestDatabase::on(&mongod.uri)).spawn().await;
    assert_eq!(ready(&app).await, 200, "as soon as it listens");
    let fail = async |mode: &str| {
        let data = doc! { "failCommands": ["update"], "appName": "sentinel",
        "writeConcernError": { "code": 64, "errmsg": "no majority" } };
        let command: Document =
            doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
        mongod.admin().await.run_command(command).await.unwrap();
    };
    fail("alwaysOn").await;
    wait_for_ready(&app, 503).await;
    fail("off").await;
    wait_for_ready(&app, 200).await;
}
