//! `sentinel user`.

use serde_json::json;

use super::{Cli, assert_moment};

const PASSWORD: &str = "correct horse battery staple";

#[test]
fn adding_user_returns_only_id_and_name() {
    let cli = Cli::new();
    let done = cli.pipe(PASSWORD, &["user", "add", "alice", "--password-stdin", "--json"]);
    let user = done.json();
    let id = user["id"].as_str().unwrap();
    assert!(id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(done.stdout, format!("{{\"id\":\"{id}\",\"username\":\"alice\"}}\n"));
}

#[test]
fn user_is_shown_by_name_or_id_without_hash() {
    let cli = Cli::new();
    let id = cli.add_user("alice", PASSWORD);
    let user = cli.json(&["user", "show", "alice"]);
    assert_moment(&user["created_at"]);
    let expected = json!({
        "id": id, "username": "alice", "scopes": null, "enabled": true,
        "created_at": user["created_at"], "updated_at": user["created_at"],
    });
    assert_eq!(user, expected);
    assert_eq!(cli.json(&["user", "show", &id]), expected);
    let text = cli.run(&["user", "show", &id]);
    assert!(text.ok().contains("alice") && !text.stdout.contains("$argon2"), "{text:?}");
}

#[test]
fn user_list_is_sorted_by_name_and_paged() {
    let cli = Cli::new();
    for name in ["carol", "alice", "bob"] {
        cli.add_user(name, PASSWORD);
    }
    let names = |arguments: &[&str]| -> Vec<String> {
        let done = cli.run(&[&["user", "list", "--json"], arguments].concat());
        assert_eq!(done.code, 0, "{done:?}");
        let users: Vec<serde_json::Value> = serde_json::from_str(&done.stdout).unwrap();
        users.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[]), ["alice", "bob", "carol"]);
    assert_eq!(names(&["--limit", "2"]), ["alice", "bob"]);
    assert_eq!(names(&["--limit", "2", "--after", "bob"]), ["carol"]);
    cli.run(&["user", "list", "--limit", "0"]).fails_with_usage("--limit");
}

#[test]
fn truncated_list_is_noted_on_standard_error() {
    let cli = Cli::new();
    cli.add_user("alice", PASSWORD);
    cli.add_user("bob", PASSWORD);
    let done = cli.run(&["user", "list", "--limit", "1"]);
    assert_eq!(done.stderr, "sentinel: the list continues: use --after 'alice'\n");
    assert_eq!(done.stdout.lines().count(), 2, "{done:?}");
    cli.run(&["user", "list", "--limit", "2"]).ok();
}

#[test]
fn lists_of_empty_store_are_empty() {
    let cli = Cli::new();
    cli.create_store();
    for family in ["user", "client", "session"] {
        assert_eq!(cli.json(&[family, "list"]), json!([]));
    }
}

#[test]
fn user_edit_renames_user_and_sets_or_removes_scopes() {
    let cli = Cli::new();
    let id = cli.add_user("alice", PASSWORD);
    let edited = cli.json(&[
        "user",
        "edit",
        "alice",
        "--rename",
        "alicia",
        "--scope",
        "write read",
        "--scope",
        "admin",
    ]);
    assert_eq!((&edited["id"], &edited["username"]), (&json!(id), &json!("alicia")));
    assert_eq!(edited["scopes"], json!(["admin", "read", "write"]));
    assert_eq!(cli.json(&["user", "show", "alicia"]), edited);
    cli.run(&["user", "show", "alice"]).fails(65, "no user \"alice\"");
    let nothing = cli.json(&["user", "edit", "alicia", "--scope", ""]);
    assert_eq!(nothing["scopes"], json!([]));
    let any = cli.json(&["user", "edit", "alicia", "--any-scope"]);
    assert_eq!(any["scopes"], json!(null));
}

#[test]
fn user_edit_without_change_is_usage_error() {
    let cli = Cli::new();
    cli.add_user("alice", PASSWORD);
    cli.run(&["user", "edit", "alice"]).fails_with_usage("--rename");
    cli.run(&["user", "edit", "alice", "--any-scope", "--scope", "a"])
        .fails_with_usage("--any-scope");
}

#[test]
fn user_add_accepts_disabled_and_scopes() {
    let cli = Cli::new();
    let options = ["--disabled", "--scope", "read write", "--scope", "admin"];
    let add = ["user", "add", "alice", "--password-stdin"];
    cli.pipe(PASSWORD, &[&add[..], &options].concat()).ok();
    let user = cli.json(&["user", "show", "alice"]);
    assert_eq!(user["enabled"], json!(false));
    assert_eq!(user["scopes"], json!(["admin", "read", "write"]));
}

#[test]
fn user_commands_report_changes_as_text() {
    let cli = Cli::new();
    cli.add_user("alice", PASSWORD);
    let say = |command: &str| cli.run(&["user", command, "alice"]).ok().to_owned();
    assert_eq!(say("disable"), "disabled user alice and ended their sessions");
    assert_eq!(cli.json(&["user", "show", "alice"])["enabled"], json!(false));
    assert_eq!(say("enable"), "enabled user alice");
    assert_eq!(cli.json(&["user", "show", "alice"])["enabled"], json!(true));
    let passwd = cli.pipe("another one\n", &["user", "passwd", "alice", "--password-stdin"]);
    assert_eq!(passwd.ok(), "set the password of user alice and ended their sessions");
    assert_eq!(say("delete"), "deleted user alice and ended their sessions");
    assert_eq!(cli.json(&["user", "list"]), json!([]));
}

#[test]
fn user_commands_report_changes_as_json() {
    let cli = Cli::new();
    let id = cli.add_user("alice", PASSWORD);
    assert_eq!(cli.json(&["user", "disable", &id])["enabled"], json!(false));
    assert_eq!(cli.json(&["user", "enable", &id])["enabled"], json!(true));
    let passwd = cli.pipe("another one\n", &["user", "passwd", &id, "--password-stdin", "--json"]);
    assert_eq!(passwd.json()["id"], json!(id));
    let deleted = cli.json(&["user", "delete", &id]);
    assert_eq!(deleted, json!({ "id": id, "username": "alice", "deleted": true }));
}

#[test]
fn duplicate_user_name_is_refused() {
    let cli = Cli::new();
    cli.add_user("alice", PASSWORD);
    cli.add_user("bob", PASSWORD);
    let again = cli.pipe(PASSWORD, &["user", "add", "alice", "--password-stdin", "--json"]);
    again.fails(65, "already a user called \"alice\"");
    let renamed = cli.run(&["user", "edit", "bob", "--rename", "alice"]);
    renamed.fails(65, "already a user called \"alice\"");
    assert_eq!(cli.json(&["user", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn another_spelling_of_a_user_name_is_refused_and_finds_the_user() {
    let cli = Cli::new();
    cli.add_user("bob", PASSWORD);
    let id = cli.add_user(" Zo\u{eb} ", PASSWORD);
    for name in ["zoe\u{308}", "ZO\u{cb}", "zo\u{eb} "] {
        assert_eq!(cli.json(&["user", "show", name])["id"], json!(id));
        assert_eq!(cli.json(&["user", "show", name])["username"], "Zo\u{eb}");
        let again = cli.pipe(PASSWORD, &["user", "add", name, "--password-stdin"]);
        again.fails(65, "already a user called \"Zo\u{eb}\"");
        let renamed = cli.run(&["user", "edit", "bob", "--rename", name]);
        renamed.fails(65, "already a user called \"Zo\u{eb}\"");
    }
    // The user may get another spelling of the own name.
    cli.run(&["user", "edit", "ZO\u{cb}", "--rename", "zo\u{eb}"]).ok();
    assert_eq!(cli.json(&["user", "show", &id])["username"], "zo\u{eb}");
}

#[test]
fn invalid_user_name_is_refused() {
    let cli = Cli::new();
    for name in ["", " ", "a  b", "al\u{200b}ice", "alice\n", &"a".repeat(256)] {
        let done = cli.pipe(PASSWORD, &["user", "add", name, "--password-stdin"]);
        done.fails(65, "expected a user name");
    }
}

#[test]
fn commands_on_unknown_user_fail() {
    let cli = Cli::new();
    cli.create_store();
    for command in ["show", "disable", "enable", "delete"] {
        cli.run(&["user", command, "nobody"]).fails(65, "there is no user \"nobody\"");
    }
    cli.run(&["user", "edit", "nobody", "--any-scope"]).fails(65, "there is no user");
    let passwd = cli.pipe(PASSWORD, &["user", "passwd", "nobody", "--password-stdin"]);
    passwd.fails(65, "there is no user");
    let no_id = cli.run(&["user", "show", "0123456789abcdef01234567"]);
    no_id.fails(65, "there is no user");
}

#[test]
fn control_characters_in_user_name_are_escaped() {
    let cli = Cli::new();
    let name = "al\u{202e}ice\u{200b} \\ 'quoted' zoë";
    let shown = r"al\u{202e}ice\u{200b} \\ 'quoted' zoë";
    let done = cli.pipe(PASSWORD, &["user", "add", name, "--password-stdin"]);
    done.fails(65, "invisible characters");
    // Users who existed before have such names.
    let id = "0123456789abcdef01234567";
    let row = json!({ "id": id, "username": name, "password": PASSWORD }).to_string();
    cli.pipe(row, &["user", "import", "-", "--format", "jsonl"]).ok();
    for arguments in [&["user", "list"][..], &["user", "show", name]] {
        let text = cli.run(arguments);
        assert!(text.ok().contains(shown) && !text.stdout.contains('\u{202e}'), "{text:?}");
    }
    let missing = cli.run(&["user", "show", "a\u{1b}[31m\u{202e}"]);
    missing.fails(65, r#"no user "a\u{1b}[31m\u{202e}""#);
    // JSON contains the name unchanged.
    assert_eq!(cli.json(&["user", "show", name])["username"], json!(name));
}

#[test]
fn user_table_columns_are_aligned() {
    let cli = Cli::new();
    cli.add_user("al", PASSWORD);
    cli.add_user("somebody with a long name", PASSWORD);
    let done = cli.run(&["user", "list"]);
    assert_eq!(done.ok().lines().count(), 3);
    assert!(done.stdout.lines().all(|line| line == line.trim_end()), "{done:?}");
    let column = done.stdout.lines().next().unwrap().find("STATE").unwrap();
    let mut users = done.stdout.lines().skip(1);
    assert!(users.all(|line| line.find("enabled") == Some(column)), "{done:?}");
}

#[test]
fn user_name_in_form_of_id_is_refused() {
    let cli = Cli::new();
    let mut command = crate::helpers::sentinel(cli.folder.path());
    command.args(["user", "add", "6b04dc9a3d2a187cd61526c4", "--password-stdin"]);
    super::finish(&mut command, b"a password").fails(65, "which is an id");
}
