//! `sentinel client import` and `client export`.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::Cli;

const IMPORT: [&str; 4] = ["client", "import", "-", "--json"];

async fn introspect(url: &str, id: &str, secret: &str) -> u16 {
    let request = reqwest::Client::new().post(format!("http://{url}/oauth/introspect"));
    let request = request.basic_auth(id, Some(secret)).form(&[("token", "x")]);
    request.send().await.unwrap().status().as_u16()
}

#[test]
fn client_export_contains_digests_of_secrets() {
    let cli = Cli::new();
    let public = cli.add_client(&["--name", "app"]);
    let made = cli.json(&["client", "add", "--confidential", "--scope", "read"]);
    let file = cli.path("clients");
    assert_eq!(cli.json(&["client", "export", &file]), json!({ "clients": 2, "file": file }));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    let secret = made["client_secret"].as_str().unwrap();
    assert!(!text.contains(secret));
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["client_id"] == *public {
            assert_eq!((&line["name"], &line["secret_sha256"]), (&json!("app"), &json!(null)));
        } else {
            let digest = sentinel::domain::Digest::of(secret.as_bytes());
            assert_eq!(line["client_id"], made["client_id"]);
            assert_eq!(line["secret_sha256"], hex::encode(digest.as_bytes()));
            assert_eq!(line["scopes"], json!(["read"]));
        }
    }
    let shown = cli.run(&["client", "export", "-"]);
    assert_eq!(shown.ok(), text.trim_end());
}

#[test]
fn exported_clients_are_imported_unchanged() {
    let (cli, other) = (Cli::new(), Cli::new());
    cli.add_client(&["--name", "an \"app\"", "--grant", "password", "--default-scope", "read"]);
    let times = ["--access-token-ttl", "15m", "--refresh-idle-ttl", "2d", "--session-ttl", "30d"];
    let confidential = ["--confidential", "--introspection", "--scope", "read write"];
    let refresh_tokens = ["--introspect-refresh-tokens"];
    let disabled = cli.add_client(&[&confidential[..], &refresh_tokens, &times].concat());
    cli.run(&["client", "disable", &disabled]).ok();
    let file = cli.path("clients.jsonl");
    cli.json(&["client", "export", &file]);
    for (added, already) in [(2, 0), (0, 2)] {
        let report = other.json(&["client", "import", &file]);
        let expected =
            json!({ "dry_run": false, "read": 2, "added": added, "already": already, "bad": [] });
        assert_eq!(report, expected);
    }
    let as_it_is = |cli: &Cli| {
        let lines = cli.run(&["client", "export", "-"]).ok().to_owned();
        let without_moments = |line: &str| {
            let mut client: Value = serde_json::from_str(line).unwrap();
            client["created_at"].take();
            client["updated_at"].take();
            client
        };
        lines.lines().map(without_moments).collect::<Vec<_>>()
    };
    assert_eq!(as_it_is(&other), as_it_is(&cli));
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_clients_keep_their_ids_and_secrets() {
    let (cli, other) = (Cli::new(), Cli::new());
    let made = other.json(&["client", "add", "--confidential", "--introspection"]);
    let (id, secret) = (&made["client_id"], made["client_secret"].as_str().unwrap());
    let moved = other.run(&["client", "export", "-"]).ok().to_owned();
    let plain = "the secret of another server";
    let lines = [
        moved,
        json!({ "client_id": "our-api", "client_secret": plain, "introspection": true })
            .to_string(),
        json!({ "client_id": "our-app", "name": "App", "scopes": "read write" }).to_string(),
    ];
    let report = cli.pipe(lines.join("\n"), &IMPORT).json();
    assert_eq!((&report["added"], &report["bad"]), (&json!(3), &json!([])));
    let app = cli.json(&["client", "show", "our-app"]);
    assert_eq!(app["type"], "public");
    assert_eq!(app["grants"], json!(["password", "refresh_token"]));
    assert_eq!(app["scopes"], json!(["read", "write"]));
    let server = cli.serve();
    for (id, secret) in [(id.as_str().unwrap(), secret), ("our-api", plain)] {
        assert_eq!(introspect(&server.address, id, secret).await, 200, "{id}");
        assert_eq!(introspect(&server.address, id, "another one").await, 401, "{id}");
    }
    for file in ["sentinel.db", "sentinel.db-wal"] {
        let bytes = std::fs::read(cli.path(file)).unwrap();
        assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "{file}");
    }
}

#[test]
fn client_import_reports_invalid_lines_and_adds_others() {
    let cli = Cli::new();
    let digest = "0".repeat(64);
    let lines = [
        json!({ "client_id": "first" }).to_string(),
        "hunter2".to_owned(),
        json!({ "name": "no id" }).to_string(),
        json!({ "client_id": "caf\u{e9}" }).to_string(),
        json!({ "client_id": "a", "client_secret": 4711 }).to_string(),
        json!({ "client_id": "b", "client_secret": "hunter2", "secret_sha256": digest })
            .to_string(),
        json!({ "client_id": "c", "secret_sha256": "hunter2" }).to_string(),
        json!({ "client_id": "d", "client_secret": "" }).to_string(),
        json!({ "client_id": "e", "type": "public", "client_secret": "hunter2" }).to_string(),
        json!({ "client_id": "f", "type": "confidential" }).to_string(),
        json!({ "client_id": "g", "type": "hunter2" }).to_string(),
        json!({ "client_id": "h", "grants": ["implicit"] }).to_string(),
        json!({ "client_id": "i", "grants": ["client_credentials"] }).to_string(),
        json!({ "client_id": "j", "introspection": true }).to_string(),
        json!({ "client_id": "k", "scopes": ["a\"b"] }).to_string(),
        json!({ "client_id": "l", "session_ttl": 0 }).to_string(),
        json!({ "client_id": "m", "redirect_uris": [] }).to_string(),
        json!({ "client_id": "first", "name": "again" }).to_string(),
        json!({ "client_id": "last", "session_ttl": "30d", "enabled": false }).to_string(),
        json!({ "client_id": "n", "session_ttl": "1500ms" }).to_string(),
        json!({ "client_id": "o", "secret_sha256": digest, "introspect_refresh_tokens": true })
            .to_string(),
    ];
    let done = cli.pipe(lines.join("\n"), &IMPORT);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(done.remarks().contains("19 of 21 rows cannot be imported"), "{done:?}");
    assert!(!format!("{done:?}").contains("hunter2") && !format!("{done:?}").contains("4711"));
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&report["read"], &report["added"]), (&json!(21), &json!(2)));
    let bad = report["bad"].as_array().unwrap();
    let expected = [
        (2, "not a JSON object"),
        (3, "no client_id"),
        (4, "1 to 255 printable ASCII characters"),
        (5, "client_secret is of the wrong type"),
        (6, "give one of them"),
        (7, "64 hexadecimal digits"),
        (8, "client_secret is empty"),
        (9, "public, but has a secret"),
        (10, "neither client_secret nor secret_sha256"),
        (11, "neither public nor confidential"),
        (12, "password, refresh_token or client_credentials"),
        (13, "client_credentials is for confidential clients"),
        (14, "introspection is for confidential clients"),
        (15, "scopes are not scopes"),
        (16, "at least 1s"),
        (17, "a member that clients do not have"),
        (18, "the same client_id is in line 1"),
        (20, "in whole seconds"),
        (21, "introspect_refresh_tokens requires introspection"),
    ];
    assert_eq!(bad.len(), expected.len());
    for ((line, reason), bad) in expected.into_iter().zip(bad) {
        assert_eq!(bad["line"], line, "{bad}");
        assert!(bad["reason"].as_str().unwrap().contains(reason), "{bad}");
    }
    let last = cli.json(&["client", "show", "last"]);
    assert_eq!((&last["session_ttl"], &last["enabled"]), (&json!(2_592_000), &json!(false)));
    let again = cli.pipe(lines.join("\n"), &["client", "import", "-"]);
    assert!(again.stdout.starts_with("READ  ADDED  ALREADY  BAD\n21    0      2        19\n"));
    assert!(again.stdout.contains("line 18: first: the same client_id"), "{again:?}");
    cli.run(&["client", "import", &cli.path("no.jsonl")]).fails(74, "cannot read");
}

#[test]
fn dry_run_reports_result_of_import_and_writes_nothing() {
    let cli = Cli::new();
    let lines = [
        json!({ "client_id": "first" }).to_string(),
        json!({ "client_id": "second", "introspection": true }).to_string(),
    ];
    let dry = [&IMPORT[..], &["--dry-run"]].concat();
    let bad = json!([{
        "line": 2, "client_id": "second", "reason": "introspection is for confidential clients",
    }]);
    let report = |added, already, dry_run| json!({ "dry_run": dry_run, "read": 2, "added": added, "already": already, "bad": bad });
    let run = |arguments: &[&str]| {
        let done = cli.pipe(lines.join("\n"), arguments);
        assert_eq!(done.code, 65, "{done:?}");
        serde_json::from_str::<Value>(&done.stdout).unwrap()
    };
    assert_eq!(run(&dry), report(1, 0, true));
    assert!(!std::path::Path::new(&cli.path("sentinel.db")).exists(), "no store was made");
    cli.add_client(&[]);
    assert_eq!(run(&dry), report(1, 0, true));
    assert_eq!(cli.json(&["client", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(run(&IMPORT), report(1, 0, false));
    assert_eq!(run(&dry), report(0, 1, true));
    let text = cli.pipe(lines.join("\n"), &["client", "import", "-", "--dry-run"]).stdout;
    assert!(text.starts_with("READ  TO ADD  ALREADY  BAD\n2     0       1        1\n"), "{text}");
}

#[test]
fn short_client_secret_is_imported_with_warning() {
    let cli = Cli::new();
    let line = json!({ "client_id": "api", "client_secret": "hunter2" }).to_string();
    let done = cli.pipe(&line, &IMPORT);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.remarks().contains("short enough to be guessed: 1;"), "{done:?}");
    cli.pipe(&line, &IMPORT).json();
}

#[test]
fn imported_secret_is_stored_as_hash_unless_it_has_the_generated_form() {
    let cli = Cli::new();
    let generated = format!("sns_{}", "0".repeat(43));
    let lines = [
        json!({ "client_id": "a", "client_secret": "correct horse battery" }),
        json!({ "client_id": "b", "client_secret": generated }),
        json!({ "client_id": "c", "secret_sha256": "00".repeat(32) }),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let done = cli.pipe(&lines, &IMPORT);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.remarks().contains("short"), "{done:?}");
    let export = |cli: &Cli| {
        let text = cli.run(&["client", "export", "-"]).ok().to_owned();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let [a, b, c] = &export(&cli)[..] else { panic!("three clients") };
    assert!(a["secret_hash"].as_str().unwrap().starts_with("$argon2id$"), "{a}");
    assert_eq!(a["secret_sha256"], json!(null));
    for line in [b, c] {
        assert!(line["secret_sha256"].is_string() && line.get("secret_hash").is_none(), "{line}");
    }
    // The export can be imported elsewhere.
    let other = Cli::new();
    other.pipe(cli.run(&["client", "export", "-"]).ok(), &IMPORT).json();
    let secrets = |cli: &Cli| {
        let secret = |line: Value| (line["secret_hash"].clone(), line["secret_sha256"].clone());
        export(cli).into_iter().map(secret).collect::<Vec<_>>()
    };
    assert_eq!(secrets(&other), secrets(&cli));
    let bad = json!({ "client_id": "d", "secret_hash": "hunter2" }).to_string();
    let done = cli.pipe(&bad, &IMPORT);
    assert!(done.code == 65 && done.stdout.contains("secret_hash"), "{done:?}");
    assert!(!format!("{done:?}").contains("hunter2"), "{done:?}");
}
