//! Many users at once, into MongoDB.

use std::fmt::Write;

use serde_json::json;

use crate::helpers::{mongod, sentinel};

#[tokio::test]
async fn thousands_of_users_are_imported_and_exported() {
    let (target, folder) = (mongod::replica_set().await, tempfile::tempdir().unwrap());
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";
    let mut text = String::from("username,hash\n");
    for number in 0..3000 {
        // A field of the parameters has commas in it.
        writeln!(text, "user{number:04},\"{hash}\"").unwrap();
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
        let expected = json!({ "read": 3000, "added": added, "already": already, "bad": [] });
        assert_eq!(report, expected);
    }
    let exported = run(&["user", "export", "-", "--format", "jsonl"]);
    assert_eq!(exported.lines().count(), 3000);
    let last: serde_json::Value = serde_json::from_str(exported.lines().last().unwrap()).unwrap();
    assert_eq!((&last["username"], &last["hash"]), (&json!("user2999"), &json!(hash)));
}
