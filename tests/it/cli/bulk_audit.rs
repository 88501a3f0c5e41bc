//! Audit events of imports and exports, including those that fail midway.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Cli, CommandResult};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";
const JSONL: [&str; 2] = ["--format", "jsonl"];

fn users(numbers: std::ops::Range<u32>) -> String {
    let line = |number| json!({ "username": format!("u{number:04}"), "hash": HASH });
    numbers.fold(String::new(), |mut text, number| {
        writeln!(text, "{}", line(number)).unwrap();
        text
    })
}

fn clients(numbers: std::ops::Range<u32>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        writeln!(text, "{}", json!({ "client_id": format!("c{number:04}") })).unwrap();
        text
    })
}

impl Cli {
    /// Changes the store in a way that no command offers.
    fn execute_sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.path("sentinel.db")).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

/// Asserts the audit event of a command: its name, its outcome and the number of records.
#[track_caller]
fn assert_event(done: &CommandResult, event: &str, outcome: Option<&str>, many: (&str, u64)) {
    let line = done.audited();
    let level = if outcome.is_none() { "INFO" } else { "WARN" };
    assert_eq!([&line["event"], &line["level"], &line["via"]], [event, level, "command line"]);
    assert_eq!(line["outcome"], outcome.map_or(Value::Null, Value::from), "{line}");
    assert_eq!(line[many.0], many.1, "{line}");
}

#[test]
fn failed_user_export_audits_number_of_exported_hashes() {
    let cli = Cli::new();
    let done = cli.pipe(users(0..1500), &[&["user", "import", "-"], &JSONL[..]].concat());
    assert_event(&done, "users_imported", None, ("users", 1500));
    let export = [&["user", "export", "-"], &JSONL[..]].concat();
    assert_event(&cli.run(&export), "users_exported", None, ("users", 1500));
    cli.execute_sql("UPDATE users SET scopes = '\"' WHERE username = 'u1400'");
    let done = cli.run(&export);
    assert_eq!((done.code, done.stdout.lines().count()), (69, 1000), "{done:?}");
    assert_event(&done, "users_exported", Some("failed"), ("users", 1000));
    // The file is removed, but may have been read before.
    let file = cli.path("users.csv");
    let done = cli.run(&["user", "export", &file]);
    assert!(done.code == 69 && !std::path::Path::new(&file).exists(), "{done:?}");
    assert_event(&done, "users_exported", Some("failed"), ("users", 1000));
}

#[test]
fn failed_client_export_audits_number_of_exported_digests() {
    let cli = Cli::new();
    let done = cli.pipe(clients(0..1500), &["client", "import", "-"]);
    assert_event(&done, "clients_imported", None, ("clients", 1500));
    assert_event(&cli.run(&["client", "export", "-"]), "clients_exported", None, ("clients", 1500));
    cli.execute_sql("UPDATE clients SET scopes = '\"' WHERE id = 'c1400'");
    let done = cli.run(&["client", "export", "-"]);
    assert_eq!((done.code, done.stdout.lines().count()), (69, 1000), "{done:?}");
    assert_event(&done, "clients_exported", Some("failed"), ("clients", 1000));
}

#[test]
fn user_export_to_full_device_is_audited_as_failed() {
    let cli = Cli::new();
    cli.pipe(users(0..3), &[&["user", "import", "-"], &JSONL[..]].concat());
    let mut command = cli.command();
    command.args([&["user", "export", "-"], &JSONL[..]].concat());
    command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let done = CommandResult { code: output.status.code().unwrap(), stdout: String::new(), stderr };
    assert_eq!(done.code, 74, "{done:?}");
    assert_event(&done, "users_exported", Some("failed"), ("users", 3));
}

#[test]
fn aborted_import_audits_number_of_added_records() {
    let cli = Cli::new();
    let endless = "x".repeat(2 << 20);
    let done = cli.pipe(users(0..700) + &endless, &[&["user", "import", "-"], &JSONL[..]].concat());
    assert_eq!(done.code, 65, "{done:?}");
    assert_event(&done, "users_imported", Some("failed"), ("users", 700));
    let done = cli.pipe(clients(0..200) + &endless, &["client", "import", "-"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert_event(&done, "clients_imported", Some("failed"), ("clients", 200));
}

/// The import awaits the writes that are in flight beside the failed one, and counts them.
#[test]
fn import_with_failed_write_is_audited_as_unconfirmed() {
    let cli = Cli::new();
    cli.add_user("zoe", "long enough");
    let fail = |table: &str, key: &str, value: &str| {
        // An integer overflow is not a constraint violation, for which the import would reject a
        // row.
        cli.execute_sql(&format!(
            "CREATE TRIGGER no_{table} BEFORE INSERT ON {table} WHEN NEW.{key} = '{value}'
            BEGIN SELECT abs(-9223372036854775808); END"
        ));
    };
    fail("users", "username", "u2000");
    fail("clients", "id", "c0500");
    let done = cli.pipe(users(0..4000), &[&["user", "import", "-"], &JSONL[..]].concat());
    assert_eq!(done.code, 69, "{done:?}");
    // The list contains zoe as well.
    let listed =
        cli.json(&["user", "list", "--limit", "10000"]).as_array().unwrap().len() as u64 - 1;
    // Only the records of the failed write are not counted, because their state is unknown.
    let counted = done.audited()["users"].as_u64().unwrap();
    assert!((1..500).contains(&(listed - counted)), "{counted} of {listed}");
    assert_event(&done, "users_imported", Some("unconfirmed"), ("users", counted));

    let done = cli.pipe(clients(0..1000), &["client", "import", "-"]);
    assert_eq!(done.code, 69, "{done:?}");
    let listed = cli.json(&["client", "list", "--limit", "10000"]).as_array().unwrap().len() as u64;
    assert_event(&done, "clients_imported", Some("unconfirmed"), ("clients", listed));
}
