//! What is not copied, and into what.

use std::process::Output;
use std::time::{Duration, Instant};

use sentinel::settings::Settings;

use super::Other;
use crate::helpers::mongod::{self, Target};
use crate::helpers::{App, AppBuilder, PASSWORD, Process, sentinel, spawn_app};

fn copy(settings: &Settings, folder: &std::path::Path, to: &str, more: &[&str]) -> Output {
    let mut command = sentinel(folder);
    command.arg("--set").arg(format!("store.path={}", settings.store.path.display()));
    command.env("SENTINEL_COPY_TO", to).args(["store", "copy"]).args(more).output().unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(what), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

fn copy_of(app: &App, to: &Other, more: &[&str]) -> Output {
    copy(&app.settings, app.folder.path(), &to.name(), more)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_other_users_is_left_alone_and_they_are_named() {
    let (app, to) = (spawn_app().await, Other::database().await);
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
    let users = other.admin.users(&sentinel::store::Page::first(10)).await.unwrap();
    assert_eq!(users, std::slice::from_ref(&other.user));
}

/// What Redis was not told of is noted in the source alone.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_copied_while_redis_cannot_be_told_of_what_has_ended() {
    let (app, to) = (spawn_app().await, Other::file());
    let output = copy_of(&app, &to, &["--set", "redis.url=redis://127.0.0.1:1"]);
    refused(&output, 69, "Redis");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("it is done"));
    to.copy_of(&app, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_a_server_was_started_on_is_refused_from_then_on() {
    for to in [Other::file(), Other::database().await] {
        let app = spawn_app().await;
        to.copy_of(&app, &[]).await;
        to.copy_of(&app, &[]).await;
        drop(to.server().spawn().await);
        refused(&copy_of(&app, &to, &[]), 65, "a server was started on it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ran_on_the_empty_target_says_that_it_is_in_use() {
    // Without the user and the clients that a server of these tests begins with.
    let (app, folder) = (spawn_app().await, tempfile::tempdir().unwrap());
    let to = folder.path().join("sentinel.db").to_str().unwrap().to_owned();
    let server = Process::serve(folder.path(), &["--set", &format!("store.path={to}")]);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // The first run, and perhaps a few more, may be over before the server says it.
        let output = copy(&app.settings, app.folder.path(), &to, &[]);
        if output.status.code() == Some(65) {
            refused(&output, 65, "in");
            break;
        }
        assert!(output.status.success(), "{output:?}");
        assert!(Instant::now() < deadline, "the store is in use, and nobody says so");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    refused(&copy(&app.settings, app.folder.path(), &to, &[]), 65, "the target is in use");
    // It serves what was copied.
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
async fn a_target_that_was_looked_at_is_not_in_use_and_one_that_was_changed_is() {
    let (app, to) = (spawn_app().await, Other::file());
    to.copy_of(&app, &[]).await;
    let there = format!("store.path={}", to.name());
    let listed = app.run(&["user", "list", "--set", &there]).await;
    assert!(listed.contains("alice"), "{listed}");
    to.copy_of(&app, &[]).await;
    app.run(&["user", "disable", "alice", "--set", &there]).await;
    refused(&copy_of(&app, &to, &[]), 65, "something was changed in it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_not_copied_onto_itself_by_whatever_name() {
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
async fn a_database_is_not_copied_onto_itself_by_whatever_name() {
    let target = mongod::replica_set().await;
    let app = AppBuilder::default().mongodb(&target).spawn().await;
    for uri in [target.uri.clone(), target.uri.replace("127.0.0.1", "localhost")] {
        let to = Other::Database(Target { uri, dbname: target.dbname.clone() });
        let mut command = sentinel(app.folder.path());
        for (key, value) in target.overrides() {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let output = command.args(["store", "copy", "--to", &to.name()]).output().unwrap();
        refused(&output, 65, "same store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing() {
    let app = spawn_app().await;
    app.login().await;
    let (file, database) = (Other::file(), Other::database().await);
    for to in [&file, &database] {
        let report = to.copy_of(&app, &["--dry-run"]).await;
        assert_eq!((&report["dry_run"], &report["sessions"]["written"]), (&true.into(), &1.into()));
        let text = String::from_utf8(copy_of(&app, to, &["--dry-run"]).stdout).unwrap();
        assert!(text.contains("TO WRITE"), "{text}");
    }
    assert!(!std::path::Path::new(&file.name()).exists());
    let Other::Database(target) = &database else { unreachable!() };
    let names = target.database().await.list_collection_names().await.unwrap();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn a_store_that_is_not_there_is_not_made_to_be_copied() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let store = format!("store.path={}", path("no.db"));
    for more in [&[][..], &["--dry-run"]] {
        let mut command = sentinel(folder.path());
        command.args(["--set", &store, "store", "copy", "--to", &path("b.db")]).args(more);
        refused(&command.output().unwrap(), 65, "there is no store");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_makes_no_sense_is_refused_without_its_password() {
    let app = spawn_app().await;
    for (to, code) in [
        ("postgres://op:hunter2@127.0.0.1/x", 64),
        ("mongodb://op:hunter2@127.0.0.1:port/x", 69),
        ("mongodb://op:hunter2@127.0.0.1:1/x?serverSelectionTimeoutMS=100", 69),
        ("", 64),
    ] {
        let output = copy(&app.settings, app.folder.path(), to, &[]);
        refused(&output, code, "sentinel: ");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("hunter2"), "{said}");
    }
}
