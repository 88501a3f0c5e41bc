//! The binary with a MongoDB store.

use std::process::{Command, Output, Stdio};
use std::time::Instant;

use crate::helpers::mongod::{self, TestDatabase};
use crate::helpers::{Process, free_port, sentinel};

fn on(target: &TestDatabase, folder: &std::path::Path) -> Command {
    let mut command = sentinel(folder);
    for (key, value) in target.overrides() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

fn arguments(target: &TestDatabase) -> Vec<String> {
    let set = |(key, value): (String, String)| ["--set".to_owned(), format!("{key}={value}")];
    target.overrides().into_iter().flat_map(set).collect()
}

#[tokio::test]
async fn commands_and_server_share_one_database() {
    let target = mongod::replica_set().await;
    let folder = tempfile::tempdir().unwrap();
    let run =
        |arguments: &[&str]| text(&on(&target, folder.path()).args(arguments).output().unwrap());
    let client = run(&["client", "add", "--default-scope", "read", "--json"]);
    let client: serde_json::Value = serde_json::from_str(&client).unwrap();
    let mut add = on(&target, folder.path());
    add.args(["user", "add", "alice", "--password-stdin", "--json"]);
    let file = folder.path().join("password");
    std::fs::write(&file, "correct horse battery staple\n").unwrap();
    text(&add.stdin(std::fs::File::open(file).unwrap()).output().unwrap());
    assert!(run(&["user", "list"]).contains("alice"));

    let given = arguments(&target);
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let process = Process::serve(folder.path(), &given);
    let url = format!("http://{}/oauth/token", process.address);
    let form = [
        ("grant_type", "password"),
        ("client_id", client["client_id"].as_str().unwrap()),
        ("username", "alice"),
        ("password", "correct horse battery staple"),
    ];
    let login = async || reqwest::Client::new().post(&url).form(&form).send().await.unwrap();
    assert_eq!(login().await.status(), 200);
    assert!(run(&["session", "list", "--user", "alice"]).contains("alice"));
    let bind = format!("server.bind={}", process.address);
    assert_eq!(run(&["healthcheck", "--set", &bind]), "ready");
    run(&["session", "end", "--user", "alice"]);
    assert!(!run(&["session", "list"]).contains("alice"));
    run(&["user", "disable", "alice"]);
    assert_eq!(login().await.status(), 400);
    run(&["user", "delete", "alice"]);
    assert!(!folder.path().join("data").exists(), "no file of the embedded store is made");
}

#[tokio::test]
async fn dev_mode_creates_demo_user_in_mongodb() {
    let target = mongod::replica_set().await;
    let folder = tempfile::tempdir().unwrap();
    let mut given = vec!["--dev".to_owned()];
    given.extend(arguments(&target));
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let process = Process::serve(folder.path(), &given);
    let mut list = on(&target, folder.path());
    assert!(text(&list.args(["user", "list"]).output().unwrap()).contains("demo"));
    assert!(folder.path().join("data/dev-credentials.json").exists());
    drop(process);
}

#[test]
fn unreachable_mongodb_is_named_without_password() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let uri = format!("mongo.uri=mongodb://op:hunter2@127.0.0.1:{port}/oauth?authSource=admin");
    let started = Instant::now();
    let run = |arguments: &[&str]| {
        let mut command = sentinel(folder.path());
        command.args(["--set", "store.backend=mongodb", "--set", &uri]).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for run in [run(&["user", "list"]), run(&["serve", "--bind", "127.0.0.1:0"])] {
        let output = run.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{message}");
        assert!(
            message.contains(&format!("cannot reach MongoDB at 127.0.0.1:{port}")),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
        assert_eq!(message.trim().lines().count(), 1, "{message}");
        assert!(started.elapsed().as_secs() < 8, "{:?}", started.elapsed());
    }
}

#[test]
fn invalid_connection_string_is_refused_without_password() {
    let folder = tempfile::tempdir().unwrap();
    for uri in [
        "mongodb://op:hun/ter2@127.0.0.1:1/",
        "mongodb://op:hunter2@127.0.0.1:port/",
        "mongodb://op:hunter2@127.0.0.1/?noSuchOption=1",
        "mongodb://op:hunter2@127.0.0.1/?readPreference=hunter2",
    ] {
        let mut command = sentinel(folder.path());
        command.args(["--set", "store.backend=mongodb", "--set"]).arg(format!("mongo.uri={uri}"));
        let output = command.args(["user", "list"]).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{uri}: {message}");
        assert!(message.contains("mongo.uri cannot be used"), "{uri}: {message}");
        assert!(!message.contains("hun"), "{uri}: {message}");
    }
}

/// A short name that is part of other words, or that equals the password, does not cause the hint.
#[test]
fn percent_encoding_hint_is_given_only_for_unencoded_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let message = |uri: &str| {
        let mut command = sentinel(folder.path());
        command.args(["--set", "store.backend=mongodb", "--set"]).arg(format!("mongo.uri={uri}"));
        let output = command.args(["config", "check"]).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{uri}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for login in ["op:op@", "op:t%2Fon@", "i:s@", "op@", ""] {
        let message = message(&format!("mongodb://{login}127.0.0.1/?nosuch=1"));
        assert!(message.contains("nosuch") && !message.contains("percent"), "{login}: {message}");
    }
    for login in ["op:a/b@", "op:a@b@", "op:a:b@", "op:50%@", "a/b:c@"] {
        let message = message(&format!("mongodb://{login}127.0.0.1/?nosuch=1"));
        assert!(message.contains("percent-encoded"), "{login}: {message}");
    }
}
