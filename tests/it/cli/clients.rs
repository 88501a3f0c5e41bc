//! `sentinel client`.

use serde_json::json;

use super::{Cli, assert_moment, members};

#[test]
fn adding_public_client_returns_only_its_id() {
    let cli = Cli::new();
    let client = cli.json(&["client", "add", "--name", "an app"]);
    assert_eq!(members(&client), ["client_id"]);
    let id = client["client_id"].as_str().unwrap();
    assert!(id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    let shown = cli.json(&["client", "show", id]);
    assert_moment(&shown["created_at"]);
    let expected = json!({
        "client_id": id, "name": "an app", "type": "public",
        "grants": ["password", "refresh_token"], "scopes": [], "default_scopes": [],
        "access_token_ttl": null, "refresh_idle_ttl": null, "session_ttl": null,
        "introspection": false, "introspect_refresh_tokens": false, "enabled": true,
        "created_at": shown["created_at"], "updated_at": shown["created_at"],
    });
    assert_eq!(shown, expected);
}

#[test]
fn adding_confidential_client_shows_its_secret_once() {
    let cli = Cli::new();
    let done = cli.run(&["client", "add", "--confidential", "--introspection", "--json"]);
    let client = done.json();
    let (id, secret) = (&client["client_id"], client["client_secret"].as_str().unwrap());
    assert_eq!(done.stdout, format!("{{\"client_id\":{id},\"client_secret\":\"{secret}\"}}\n"));
    let id = id.as_str().unwrap();
    let shown = cli.json(&["client", "show", id]);
    assert_eq!(shown["type"], json!("confidential"));
    assert_eq!(shown["introspection"], json!(true));
    assert_eq!(shown["grants"], json!(["password", "refresh_token", "client_credentials"]));
    for arguments in [&["client", "list"][..], &["client", "show", id]] {
        for json in [&["--json"][..], &[]] {
            let text = cli.run(&[arguments, json].concat());
            assert!(text.ok().contains(id) && !text.stdout.contains(secret), "{text:?}");
        }
    }
}

#[test]
fn text_output_says_that_secret_is_shown_once() {
    let cli = Cli::new();
    let text = cli.run(&["client", "add", "--confidential"]);
    assert!(text.ok().contains("client_secret  sns_"), "{text:?}");
    assert!(text.stdout.contains("only once"), "{text:?}");
    assert!(!cli.run(&["client", "add"]).ok().contains("secret"));
}

#[test]
fn client_add_accepts_every_option() {
    let cli = Cli::new();
    let id = cli.add_client(&[
        "--confidential",
        "--name",
        "all",
        "--grant",
        "client_credentials",
        "--grant",
        "password",
        "--scope",
        "read write",
        "--scope",
        "admin",
        "--default-scope",
        "basic read",
        "--access-token-ttl",
        "3600",
        "--refresh-idle-ttl",
        "15m",
        "--session-ttl",
        "30d",
    ]);
    let client = cli.json(&["client", "show", &id]);
    assert_eq!(client["grants"], json!(["password", "client_credentials"]));
    // Default scopes are allowed scopes as well.
    assert_eq!(client["scopes"], json!(["admin", "basic", "read", "write"]));
    assert_eq!(client["default_scopes"], json!(["basic", "read"]));
    assert_eq!(client["access_token_ttl"], json!(3600));
    assert_eq!(client["refresh_idle_ttl"], json!(900));
    assert_eq!(client["session_ttl"], json!(30 * 24 * 3600));
    let text = cli.run(&["client", "show", &id]);
    assert!(text.ok().contains("30d") && text.stdout.contains("15m"), "{text:?}");
}

#[test]
fn client_edit_changes_only_given_fields() {
    let cli = Cli::new();
    let id = cli.add_client(&["--confidential", "--name", "old", "--scope", "read write"]);
    let before = cli.json(&["client", "show", &id]);
    let mut after = cli.json(&["client", "edit", &id, "--name", "new"]);
    assert_eq!(after["name"], json!("new"));
    assert_eq!(cli.json(&["client", "show", &id]), after);
    after["name"] = json!("old");
    after["updated_at"] = before["updated_at"].clone();
    assert_eq!(after, before);
}

#[test]
fn client_edit_can_restore_default_lifetimes() {
    let cli = Cli::new();
    let id = cli.add_client(&["--confidential", "--introspection", "--access-token-ttl", "15m"]);
    let edit = |options: &[&str]| cli.json(&[&["client", "edit", &id], options].concat());
    let changed = edit(&["--session-ttl", "1d", "--refresh-idle-ttl", "1h30m"]);
    assert_eq!(changed["access_token_ttl"], json!(900));
    assert_eq!(changed["session_ttl"], json!(86_400));
    assert_eq!(changed["refresh_idle_ttl"], json!(5400));
    let back = edit(&["--access-token-ttl", "default", "--session-ttl", "default"]);
    assert_eq!(back["access_token_ttl"], json!(null));
    assert_eq!(back["session_ttl"], json!(null));
    assert_eq!(back["refresh_idle_ttl"], json!(5400));
    assert_eq!(edit(&["--no-introspection"])["introspection"], json!(false));
    assert_eq!(edit(&["--introspection"])["introspection"], json!(true));
    assert_eq!(edit(&["--grant", "password"])["grants"], json!(["password"]));
    assert_eq!(edit(&["--scope", "a b"])["scopes"], json!(["a", "b"]));
    assert_eq!(edit(&["--default-scope", "a"])["default_scopes"], json!(["a"]));
    assert_eq!(edit(&["--default-scope", ""])["default_scopes"], json!([]));
}

#[test]
fn client_edit_without_change_is_usage_error() {
    let cli = Cli::new();
    let id = cli.add_client(&[]);
    cli.run(&["client", "edit", &id]).fails_with_usage("--name");
    let both = cli.run(&["client", "edit", &id, "--introspection", "--no-introspection"]);
    both.fails_with_usage("--no-introspection");
    let both = ["--introspect-refresh-tokens", "--no-introspect-refresh-tokens"];
    let both = cli.run(&[&["client", "edit", &id], &both[..]].concat());
    both.fails_with_usage("--no-introspect-refresh-tokens");
}

#[test]
fn permission_for_refresh_tokens_is_given_and_withdrawn_with_introspection() {
    let cli = Cli::new();
    let both = ["--introspection", "--introspect-refresh-tokens"];
    let id = cli.add_client(&[&["--confidential"], &both[..]].concat());
    assert_eq!(cli.json(&["client", "show", &id])["introspect_refresh_tokens"], json!(true));
    let shown = cli.run(&["client", "show", &id]);
    assert!(shown.ok().contains("introspection          yes, of refresh tokens too"), "{shown:?}");
    let edit = |options: &[&str]| {
        let client = cli.json(&[&["client", "edit", &id], options].concat());
        (client["introspection"] == true, client["introspect_refresh_tokens"] == true)
    };
    assert_eq!(edit(&["--no-introspect-refresh-tokens"]), (true, false));
    assert_eq!(edit(&["--introspect-refresh-tokens"]), (true, true));
    assert_eq!(edit(&["--no-introspection"]), (false, false));
    assert_eq!(edit(&["--introspection"]), (true, false));
    assert_eq!(edit(&both), (true, true));
    let what = "introspect_refresh_tokens requires introspection";
    let alone = ["--confidential", "--introspect-refresh-tokens"];
    cli.run(&[&["client", "add"], &alone[..]].concat()).fails(65, what);
    let contrary = ["--no-introspection", "--introspect-refresh-tokens"];
    cli.run(&[&["client", "edit", &id], &contrary[..]].concat()).fails(65, what);
}

#[test]
fn confidential_client_options_are_refused_for_public_client() {
    let cli = Cli::new();
    let id = cli.add_client(&[]);
    let cases = [("--grant", "client_credentials"), ("--introspection", "")];
    for (option, value) in cases {
        let options: Vec<&str> = [option, value].into_iter().filter(|o| !o.is_empty()).collect();
        let what = "is for confidential clients";
        cli.run(&[&["client", "add"], &options[..]].concat()).fails(65, what);
        cli.run(&[&["client", "edit", &id], &options[..]].concat()).fails(65, what);
    }
    cli.run(&["client", "rotate-secret", &id]).fails(65, "a public client has no secret");
    assert_eq!(cli.json(&["client", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn invalid_scope_grant_or_lifetime_is_usage_error() {
    let cli = Cli::new();
    let cases = [
        ("--scope", "a\"b", "expected scope tokens"),
        ("--scope", "zoë", "expected scope tokens"),
        ("--default-scope", "a\\b", "expected scope tokens"),
        ("--grant", "implicit", "expected password, refresh_token or client_credentials"),
        ("--access-token-ttl", "soon", "expected a duration"),
        ("--session-ttl", "0", "expected a duration"),
        ("--access-token-ttl", "1500ms", "in whole seconds"),
        ("--refresh-idle-ttl", "999999d", "expected a duration"),
    ];
    for (option, value, what) in cases {
        cli.run(&["client", "add", option, value]).fails_with_usage(what);
    }
    cli.pipe("x", &["user", "add", "alice", "--password-stdin", "--scope", "a\"b"])
        .fails_with_usage("expected scope tokens");
}

#[test]
fn rotated_secret_differs_from_old_one() {
    let cli = Cli::new();
    let client = cli.json(&["client", "add", "--confidential"]);
    let id = client["client_id"].as_str().unwrap();
    let rotated = cli.json(&["client", "rotate-secret", id]);
    assert_eq!(members(&rotated), ["client_id", "client_secret"]);
    assert_eq!(rotated["client_id"], client["client_id"]);
    assert_ne!(rotated["client_secret"], client["client_secret"]);
    let audited = cli.run(&["client", "rotate-secret", id]);
    assert!(audited.stderr.contains("\"secret_changed\":true"), "{audited:?}");
    assert!(!audited.stderr.contains("sns_"), "{audited:?}");
}

#[test]
fn client_can_be_disabled_enabled_and_deleted() {
    let cli = Cli::new();
    let id = cli.add_client(&[]);
    let say = |command: &str| cli.run(&["client", command, &id]).ok().to_owned();
    assert_eq!(say("disable"), format!("disabled client {id} and ended its sessions"));
    assert_eq!(cli.json(&["client", "show", &id])["enabled"], json!(false));
    assert_eq!(say("enable"), format!("enabled client {id}"));
    assert_eq!(cli.json(&["client", "disable", &id])["enabled"], json!(false));
    assert_eq!(cli.json(&["client", "enable", &id])["enabled"], json!(true));
    assert_eq!(say("delete"), format!("deleted client {id} and ended its sessions"));
    let id = cli.add_client(&[]);
    let deleted = cli.json(&["client", "delete", &id]);
    assert_eq!(deleted, json!({ "client_id": id, "deleted": true }));
    assert_eq!(cli.json(&["client", "list"]), json!([]));
}

#[test]
fn client_list_is_paged() {
    let cli = Cli::new();
    let mut ids = [cli.add_client(&[]), cli.add_client(&[]), cli.add_client(&[])];
    ids.sort();
    let all = cli.json(&["client", "list"]);
    let listed: Vec<_> = all.as_array().unwrap().iter().map(|c| c["client_id"].clone()).collect();
    assert_eq!(listed, ids);
    let rest = cli.json(&["client", "list", "--after", &ids[1]]);
    assert_eq!(rest, json!([all[2]]));
    let first = cli.run(&["client", "list", "--limit", "1", "--json"]);
    assert_eq!(first.stderr, format!("sentinel: the list continues: use --after '{}'\n", ids[0]));
}

#[test]
fn commands_on_unknown_client_fail() {
    let cli = Cli::new();
    cli.create_store();
    for command in ["show", "rotate-secret", "disable", "enable", "delete"] {
        cli.run(&["client", command, "none"]).fails(65, "there is no client \"none\"");
    }
    cli.run(&["client", "edit", "none", "--name", "x"]).fails(65, "there is no client");
    cli.run(&["client", "show", "zoë\u{202e}"]).fails(65, r"zoë\u{202e}");
}

#[test]
fn control_characters_in_client_name_are_escaped() {
    let cli = Cli::new();
    let id = cli.add_client(&["--name", "x\u{1b}]0;title\u{7}\r\ny"]);
    for arguments in [&["client", "list"][..], &["client", "show", &id]] {
        let text = cli.run(arguments);
        assert!(text.ok().contains(r"x\u{1b}]0;title\u{7}\r\ny"), "{text:?}");
    }
}

const CHOSEN: [&str; 4] = ["client", "add", "--confidential", "--secret-stdin"];

#[test]
fn chosen_secret_has_at_least_12_characters() {
    let cli = Cli::new();
    for (secret, reason) in
        [("eleven char", "fewer than 12 characters"), ("", "empty"), ("with\na newline", "ASCII")]
    {
        cli.pipe(secret, &CHOSEN).fails(65, reason);
    }
    let id = cli.add_client(&["--confidential"]);
    cli.pipe("eleven char", &["client", "edit", &id, "--secret-stdin"]).fails(65, "fewer than 12");
    let public = cli.add_client(&[]);
    let edit = ["client", "edit", &public, "--secret-stdin"];
    cli.pipe("twelve chars", &edit).fails(65, "a public client has no secret");
    assert_eq!(cli.pipe("twelve chars", &["client", "add", "--secret-stdin"]).code, 64);
}

#[test]
fn chosen_secret_is_stored_as_hash_and_never_shown() {
    let cli = Cli::new();
    let secret = "twelve chars";
    let id = cli.pipe(format!("{secret}\n"), &[&CHOSEN[..], &["--json"]].concat()).json();
    assert_eq!(members(&id), ["client_id"]);
    let id = id["client_id"].as_str().unwrap();
    let export = |line: usize| {
        let text = cli.run(&["client", "export", "-"]).ok().to_owned();
        serde_json::from_str::<serde_json::Value>(text.lines().nth(line).unwrap()).unwrap()
    };
    let first = export(0);
    let hash = first["secret_hash"].as_str().unwrap();
    assert!(hash.starts_with("$argon2id$"), "{first}");
    assert_eq!(first["secret_sha256"], json!(null));
    cli.pipe("another secret", &["client", "edit", id, "--secret-stdin"]).ok();
    assert_ne!(export(0)["secret_hash"], hash);
    // A secret of the generated form needs no slow hash.
    let generated = cli.json(&["client", "rotate-secret", id]);
    let generated = generated["client_secret"].as_str().unwrap();
    let sha256 = export(0)["secret_sha256"].clone();
    cli.pipe("another secret", &["client", "edit", id, "--secret-stdin"]).ok();
    cli.pipe(generated, &["client", "edit", id, "--secret-stdin"]).ok();
    assert_eq!(export(0)["secret_sha256"], sha256);
}
