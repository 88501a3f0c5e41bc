//! The commands of `docs/user-import.md`, run on exports of the servers that the page names.

use serde_json::json;

use super::pages::{Block, page};
use crate::helpers::{command, sentinel};

const DJANGO: &str =
    "pbkdf2_sha256$1000$seasalt0seasalt0seasa0$zmwH/lAwndl+fmNO6oQViP2wCskggNqeRCYslipyfNY=";
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG";
const KEY: &str =
    "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";

fn blocks() -> Vec<Block> {
    let blocks = page("docs/user-import.md").blocks();
    blocks.into_iter().filter(|block| block.language == "sh").collect()
}

/// Writes exports of other servers, each with the user alice, and one that has no usable password.
fn write_exports(folder: &std::path::Path) {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let django = |name: &str, password: &str| json!({ "model": "auth.user", "pk": 1, "fields": { "username": name, "password": password, "is_active": true, "email": "" } });
    write("django.json", json!([django("alice", DJANGO), django("bob", "!unusable")]).to_string());
    let credential = json!({
        "id": "x",
        "type": "password",
        "secretData": "{\"value\":\"EnDApHjOOFUBdPCpGIuC6IadN4J96U5dfWp/4iap5w0=\",\"salt\":\"hIO6r09/QlCLPsBNdVEr9A==\",\"additionalParameters\":{}}",
        "credentialData": "{\"hashIterations\":5,\"algorithm\":\"argon2\",\"additionalParameters\":{\"hashLength\":[\"32\"],\"memory\":[\"7168\"],\"type\":[\"id\"],\"version\":[\"1.3\"],\"parallelism\":[\"1\"]}}",
    });
    let otp = json!({ "type": "otp", "secretData": "{}", "credentialData": "{}" });
    let users = json!([
        { "username": "alice", "enabled": true, "credentials": [otp, credential] },
        { "username": "service-account-x", "enabled": true },
    ]);
    write("realm.json", json!({ "realm": "r", "users": users }).to_string());
    let auth0 = json!({ "_id": { "$oid": "65f0c0de65f0c0de65f0c0de" }, "email": "alice", "email_verified": true, "passwordHash": BCRYPT, "connection": "c" });
    write("auth0.json", auth0.to_string() + "\n");
    let firebase = json!([
        { "localId": "1", "email": "alice", "passwordHash": "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==", "salt": "42xEC+ixf3L2lw==" },
        { "localId": "2", "email": "google@example.org" },
    ]);
    write("firebase.json", json!({ "users": firebase }).to_string());
    write(".htpasswd", format!("alice:{BCRYPT}\nbob:$apr1$salt$hash\n\n"));
    let wordpress = json!([
        { "user_login": "alice", "user_pass": "$wp$2y$10$Q1xinFjrZeLWJBvxviIL6u834Fu.evIEFHAUVisQ5O.w9Dm0sMdES" },
        { "user_login": "bob", "user_pass": "$P$BiOPTwAlxBqfNaJzMvFZT6pZ.FZuLo0" },
    ]);
    write("wordpress.json", wordpress.to_string());
}

#[test]
fn documented_commands_import_users_of_other_servers() {
    let folder = tempfile::tempdir().unwrap();
    write_exports(folder.path());
    let blocks = blocks();
    let (import, recipes) = blocks.split_first().unwrap();
    assert!(import.text.contains("sentinel user import users.jsonl --dry-run"));
    assert_eq!(recipes.len(), 6);
    // Django, htpasswd and WordPress have a user whose hash is refused.
    for (recipe, refused) in recipes.iter().zip([1, 0, 0, 0, 1, 1]) {
        let mut shell = command("sh");
        shell.args(["-eu", "-c", &recipe.text]).env("KEY", KEY).current_dir(folder.path());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{}: {output:?}", recipe.place);
        let store = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let mut command = sentinel(store.path());
            command.args(["--set", &format!("store.path={}/s.db", store.path().display())]);
            command.args(arguments).arg("--json").current_dir(folder.path()).output().unwrap()
        };
        let output = run(&["user", "import", "users.jsonl"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["added"], 1, "{}: {report}", recipe.place);
        assert_eq!(report["bad"].as_array().unwrap().len(), refused, "{}: {report}", recipe.place);
        let shown = run(&["user", "show", "alice"]);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!((&shown["username"], &shown["enabled"]), (&json!("alice"), &json!(true)));
    }
}
