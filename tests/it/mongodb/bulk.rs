//! Imports and exports of many users with MongoDB.

use std::fmt::Write;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};

use crate::helpers::{mongod, sentinel};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";

#[tokio::test]
async fn thousands_of_users_can_be_imported_and_exported() {
    let (target, folder) = (mongod::replica_set().await, tempfile::tempdir().unwrap());
    let mut text = String::from("username,hash\n");
    for number in 0..3000 {
        // The hash contains commas and is quoted.
        writeln!(text, "user{number:04},\"{HASH}\"").unwrap();
    }
    std::fs::write(folder.path().join("users.csv"), &text).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = sentinel(folder.path());
        for (key, value) in target.overrides() {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (added, already) in [(3000, 0), (0, 3000)] {
        let report = run(&["user", "import", "users.csv", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let expected = json!({ "dry_run": false, "read": 3000, "added": added, "already": already, "bad": [] });
        assert_eq!(report, expected);
    }
    let exported = run(&["user", "export", "-", "--format", "jsonl"]);
    assert_eq!(exported.lines().count(), 3000);
    let last: serde_json::Value = serde_json::from_str(exported.lines().last().unwrap()).unwrap();
    assert_eq!((&last["username"], &last["hash"]), (&json!("user2999"), &json!(HASH)));
}

#[tokio::test]
async fn killed_import_is_completed_by_next_one() {
    let (target, folder) = (mongod::replica_set().await, tempfile::tempdir().unwrap());
    let import = || {
        let mut command = sentinel(folder.path());
        for (key, value) in target.overrides() {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.args(["user", "import", "-", "--format", "jsonl", "--json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let line = |number: u32| {
        // Every third user has an id.
        let id = number.is_multiple_of(3).then(|| format!("{number:024x}"));
        json!({ "username": format!("user{number:04}"), "hash": HASH, "id": id }).to_string() + "\n"
    };
    let lines: Vec<String> = (0..2500).map(line).collect();
    let users = target.database().await.collection::<Document>("sentinel_users");

    let mut killed = import();
    let mut input = killed.stdin.take().unwrap();
    // The import waits for more input and writes the users that it has read.
    input.write_all(lines[..1800].concat().as_bytes()).unwrap();
    input.flush().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while users.count_documents(doc! {}).await.unwrap() == 0 {
        assert!(Instant::now() < deadline, "nothing is written");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let before = users.count_documents(doc! {}).await.unwrap();

    let mut next = import();
    next.stdin.take().unwrap().write_all(lines.concat().as_bytes()).unwrap();
    let output = next.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Writes that were in flight when the first import was killed may have been stored after the
    // count.
    let already = report["already"].as_u64().unwrap();
    assert!(already >= before && already <= 1800, "{before}, {report}");
    assert_eq!(
        report,
        json!({ "dry_run": false, "read": 2500, "added": 2500 - already, "already": already, "bad": [] })
    );
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 2500);
    assert_eq!(users.count_documents(doc! { "username": "user0003" }).await.unwrap(), 1);
}
