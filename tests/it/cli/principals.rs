//! Users and clients that a resource server could take for one principal (RFC 9700 §4.15).

use serde_json::json;

use super::Cli;
use crate::startup;

const USER_ID: &str = "0123456789abcdef01234567";

fn rename_in_file(cli: &Cli, from: &str, to: &str) {
    let store = rusqlite::Connection::open(cli.path("sentinel.db")).unwrap();
    let renamed = store.execute("UPDATE users SET username = ?2 WHERE username = ?1", [from, to]);
    assert_eq!(renamed.unwrap(), 1);
}

#[test]
fn user_cannot_get_id_of_client_as_name() {
    let cli = Cli::new();
    cli.add_user("alice", "long enough");
    let client = cli.add_client(&[]);
    for name in [client.as_str(), "https://app.example.org/", "dcr-1"] {
        let add = ["user", "add", name, "--password-stdin"];
        cli.pipe("long enough", &add).fails(65, "user");
        cli.run(&["user", "edit", "alice", "--rename", name]).fails(65, "user");
    }
    assert_eq!(cli.json(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn user_import_refuses_names_and_ids_of_clients() {
    let cli = Cli::new();
    let clients =
        format!(r#"{{"client_id":"app"}}{{"client_id":"{USER_ID}"}}"#).replace("}{", "}\n{");
    cli.pipe(clients, &["client", "import", "-"]).ok();
    let rows = format!(
        "id,username,password\n,app,long enough\n{USER_ID},bob,long enough\n,zoe,long enough\n\
         000000000000000000000001,https://x,long enough\n"
    );
    let import = ["user", "import", "-", "--format", "csv", "--json"];
    let done = cli.pipe(&rows, &import);
    assert_eq!(done.code, 65, "{done:?}");
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&report["added"], &report["already"]), (&json!(1), &json!(0)), "{report}");
    let reason = |line: u64| {
        let bad = report["bad"].as_array().unwrap().iter();
        let reasons = bad.filter(|bad| bad["line"] == line).map(|bad| bad["reason"].as_str());
        reasons.flatten().collect::<String>()
    };
    assert!(reason(2).contains("there is a client with the id \"app\""), "{report}");
    assert_eq!(reason(3), "its id is the id of a client");
    assert!(reason(5).contains("does not begin with https://"), "{report}");
}

#[test]
fn client_import_refuses_names_and_ids_of_users() {
    let cli = Cli::new();
    cli.add_user("alice", "long enough");
    let user = format!("id,username,password\n{USER_ID},bob,long enough\n");
    cli.pipe(user, &["user", "import", "-", "--format", "csv"]).ok();
    let ids = ["alice", USER_ID, "bob", "carol"];
    let lines = ids.map(|id| format!("{{\"client_id\":\"{id}\"}}")).join("\n");
    for more in [&["--dry-run"][..], &[]] {
        let done = cli.pipe(&lines, &[&["client", "import", "-", "--json"], more].concat());
        assert_eq!(done.code, 65, "{done:?}");
        let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(report["added"], 1, "{report}");
        let bad = report["bad"].as_array().unwrap();
        assert_eq!(bad.len(), 3, "{report}");
        for bad in bad {
            assert_eq!(bad["reason"], "a user has its client_id as name or id");
        }
    }
}

/// Such a pair exists in a store that was copied, or that an earlier version wrote.
#[test]
fn existing_pair_of_user_and_client_is_kept_and_reported_at_start() {
    let cli = Cli::new();
    let client = cli.add_client(&[]);
    cli.add_user("alice", "long enough");
    cli.add_user("bob", "long enough");
    rename_in_file(&cli, "alice", &client);
    rename_in_file(&cli, "bob", "dcr-1");
    let copy = cli.path("copy.db");
    cli.run(&["store", "copy", "--to", &copy]).ok();
    std::fs::rename(copy, cli.path("sentinel.db")).unwrap();
    let store = format!("store.path={}", cli.path("sentinel.db"));
    let same = "a user has the name or id of a client";
    let log = startup::lines_until(cli.folder.path(), &["--set", &store], same);
    let is_reserved = |line: &&String| line.contains("begins with https:// or dcr-");
    assert!(log.iter().find(is_reserved).unwrap().contains("dcr-1"), "{log:?}");
    let same = log.last().unwrap();
    assert!(same.contains(&client) && same.contains("\"level\":\"WARN\""), "{same}");
    assert_eq!(cli.json(&["user", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(cli.json(&["client", "list"]).as_array().unwrap().len(), 1);
    // The user can still be changed, and a repeated import of the client changes nothing.
    cli.run(&["user", "disable", &client]).ok();
    let again = cli.pipe(format!("{{\"client_id\":\"{client}\"}}"), &["client", "import", "-"]);
    assert_eq!(again.code, 0, "{again:?}");
}

#[test]
fn clients_and_users_are_compared_alike_whichever_is_added_first() {
    let cli = Cli::new();
    let import =
        |id: &str| cli.pipe(format!("{{\"client_id\":\"{id}\"}}"), &["client", "import", "-"]);
    import("app").ok();
    import("WEB").ok();
    // The folded name is the id of the client, or the name as it is written.
    for name in ["app", "APP", " App", "WEB"] {
        cli.pipe("long enough", &["user", "add", name, "--password-stdin"]).fails(65, "a client");
    }
    // Ids of clients are case-sensitive.
    cli.add_user("Web", "long enough");
    cli.add_user("Zoe", "long enough");
    assert_eq!((import("Zoe").code, import("zoe").code, import("ZOE").code), (65, 65, 0));
}

/// An earlier version accepted such users, and imports keep them.
#[test]
fn several_spellings_of_a_name_are_kept_and_reported_at_start() {
    let cli = Cli::new();
    for name in ["alice", "bob", "carol"] {
        cli.add_user(name, "long enough");
    }
    rename_in_file(&cli, "bob", "Alice");
    let store = rusqlite::Connection::open(cli.path("sentinel.db")).unwrap();
    let before = "DROP INDEX users_by_key; ALTER TABLE users DROP COLUMN username_key;
        PRAGMA user_version = 7";
    store.execute_batch(before).unwrap();
    drop(store);
    let store = format!("store.path={}", cli.path("sentinel.db"));
    let arguments = ["--set", &store];
    let spelling = "another user has this name in another spelling";
    let log = startup::lines_until(cli.folder.path(), &arguments, "\"username\":\"alice\"");
    let names = log.iter().filter(|line| line.contains(spelling));
    let names: Vec<serde_json::Value> =
        names.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(names.len(), 2, "{log:?}");
    assert!(names[0].to_string().contains("\"Alice\""), "{names:?}");
    for name in ["alice", "Alice", "carol"] {
        assert_eq!(cli.json(&["user", "show", name])["username"], name);
    }
    cli.run(&["user", "show", "ALICE"]).fails(65, "there is no user");
    cli.run(&["user", "edit", "Alice", "--rename", "bob"]).ok();
    assert_eq!(cli.json(&["user", "show", "ALICE"])["username"], "alice");
}
