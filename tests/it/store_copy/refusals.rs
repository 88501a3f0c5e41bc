//! Sources that are not copied, and targets that are rejected.

use std::process::Output;
use std::time::{Duration, Instant};

use sentinel::settings::Settings;

use super::CopyTarget;
use crate::helpers::mongod::{self, TestDatabase};
use crate::helpers::{App, AppBuilder, PASSWORD, Process, sentinel, spawn_app};

fn copy(settings: &Settings, folder: &std::path::Path, to: &str, more: &[&str]) -> Output {
    let mut command = sentinel(folder);
    command.arg("--set").arg(format!("store.path={}", settings.store.path.display()));
    command.env("SENTINEL_COPY_TO", to).args(["store", "copy"]).args(more).output().unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, what: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(message.contains(what), "{message}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

fn copy_of(app: &App, to: &CopyTarget, more: &[&str]) -> Output {
    copy(&app.settings, app.folder.path(), &to.name(), more)
}

#[tokio::test(flavor = "multi_thread")]
async fn target_with_conflicting_users_is_rejected_and_unchanged() {
    let (app, to) = (spawn_app().await, CopyTarget::database().await);
    let other = to.server().spawn().await;
    for more in [&[][..], &["--dry-run"]] {
        let output = copy_of(&app, &to, more);
        refused(&output, 65, "the target is in use");
        let both = format!(
            "the user \"alice\" is {} in the source and {} in the target",
            app.user.id, other.user.id
        );
        refused(&output, 65, &both);
    }
    let users = other.admin.users("", &sentinel::store::Page::first(10)).await.unwrap().items;
    assert_eq!(users, std::slice::from_ref(&other.user));
}

/// Undelivered invalidations are stored in the source only.
#[tokio::test(flavor = "multi_thread")]
async fn copy_is_refused_while_redis_invalidations_cannot_be_delivered() {
    let (app, to) = (spawn_app().await, CopyTarget::file());
    let output = copy_of(&app, &to, &["--set", "redis.url=redis://127.0.0.1:1"]);
    refused(&output, 69, "Redis");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("it is done"));
    to.copy_of(&app, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_is_rejected_after_a_server_started_on_it() {
    for to in [CopyTarget::file(), CopyTarget::database().await] {
        let app = spawn_app().await;
        to.copy_of(&app, &[]).await;
        to.copy_of(&app, &[]).await;
        drop(to.server().spawn().await);
        refused(&copy_of(&app, &to, &[]), 65, "a server was started on it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn running_server_marks_its_empty_target_as_in_use() {
    // A server from the test helpers would add a user and clients to its store.
    let (app, folder) = (spawn_app().await, tempfile::tempdir().unwrap());
    let to = folder.path().join("sentinel.db").to_str().unwrap().to_owned();
    let server = Process::serve(folder.path(), &["--set", &format!("store.path={to}")]);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // The first runs may complete before the server marks the store as in use.
        let output = copy(&app.settings, app.folder.path(), &to, &[]);
        if output.status.code() == Some(65) {
            // The server may also mark the store during a run.
            let (before, during) = ("the target is in use", "the target has come into use");
            let is_during = String::from_utf8_lossy(&output.stderr).contains(during);
            refused(&output, 65, if is_during { during } else { before });
            break;
        }
        assert!(output.status.success(), "{output:?}");
        assert!(Instant::now() < deadline, "the store is in use, and nobody says so");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    refused(&copy(&app.settings, app.folder.path(), &to, &[]), 65, "the target is in use");
    // The server serves the copied records.
    let form = [
        ("grant_type", "password"),
        ("client_id", app.client.id.as_str()),
        ("username", "alice"),
        ("password", PASSWORD),
    ];
    let url = format!("http://{}/oauth/token", server.address);
    let login = reqwest::Client::new().post(url).form(&form).send().await.unwrap();
    assert_eq!(login.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn target_is_rejected_after_a_change_but_not_after_a_read() {
    let (app, to) = (spawn_app().await, CopyTarget::file());
    to.copy_of(&app, &[]).await;
    let there = format!("store.path={}", to.name());
    let listed = app.run(&["user", "list", "--set", &there]).await;
    assert!(listed.contains("alice"), "{listed}");
    to.copy_of(&app, &[]).await;
    app.run(&["user", "disable", "alice", "--set", &there]).await;
    refused(&copy_of(&app, &to, &[]), 65, "it was changed since the copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_store_is_not_copied_onto_itself_under_another_path() {
    let app = spawn_app().await;
    let folder = app.folder.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("../sentinel.db");
    refused(&copy(&app.settings, app.folder.path(), path.to_str().unwrap(), &[]), 65, "same store");
    let link = app.folder.path().join("link.db");
    std::os::unix::fs::symlink(app.folder.path().join("sentinel.db"), &link).unwrap();
    refused(&copy(&app.settings, app.folder.path(), link.to_str().unwrap(), &[]), 65, "same store");
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_database_is_not_copied_onto_itself_under_another_host() {
    let target = mongod::replica_set().await;
    let app = AppBuilder::default().mongodb(&target).spawn().await;
    for uri in [target.uri.clone(), target.uri.replace("127.0.0.1", "localhost")] {
        let to = CopyTarget::Database(TestDatabase { uri, dbname: target.dbname.clone() });
        let mut command = sentinel(app.folder.path());
        for (key, value) in target.overrides() {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let output = command.args(["store", "copy", "--to", &to.name()]).output().unwrap();
        refused(&output, 65, "same store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_writes_nothing() {
    let app = spawn_app().await;
    app.login().await;
    let (file, database) = (CopyTarget::file(), CopyTarget::database().await);
    for to in [&file, &database] {
        let report = to.copy_of(&app, &["--dry-run"]).await;
        assert_eq!((&report["dry_run"], &report["sessions"]["written"]), (&true.into(), &1.into()));
        let text = String::from_utf8(copy_of(&app, to, &["--dry-run"]).stdout).unwrap();
        assert!(text.contains("TO WRITE"), "{text}");
    }
    assert!(!std::path::Path::new(&file.name()).exists());
    let CopyTarget::Database(target) = &database else { unreachable!() };
    let names = target.database().await.list_collection_names().await.unwrap();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn missing_source_store_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let store = format!("store.path={}", path("no.db"));
    for more in [&[][..], &["--dry-run"]] {
        let mut command = sentinel(folder.path());
        command.args(["--set", &store, "store", "copy", "--to", &path("b.db")]).args(more);
        refused(&command.output().unwrap(), 65, "there is no store at");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_target_is_rejected_without_showing_its_password() {
    let app = spawn_app().await;
    for (to, code) in [
        ("postgres://op:hunter2@127.0.0.1/x", 64),
        ("mongodb://op:hunter2@127.0.0.1:port/x", 64),
        ("mongodb://op:hunter2@127.0.0.1:1/x?serverSelectionTimeoutMS=100", 69),
        ("", 64),
    ] {
        let output = copy(&app.settings, app.folder.path(), to, &[]);
        refused(&output, code, "sentinel: ");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!message.contains("hunter2"), "{message}");
    }
}
