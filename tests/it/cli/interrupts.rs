//! SIGINT and SIGTERM during an import: what was read is imported, counted and audited.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Cli, is_audit};

/// More than a pipe holds, so that the import has read some of it when all of it is written.
const RECORDS: u32 = 4000;

/// Output of Django's `PBKDF2PasswordHasher().encode("correct horse battery staple", …)`.
const HASH: &str =
    "pbkdf2_sha256$1000$seasalt0seasalt0seasa0$zmwH/lAwndl+fmNO6oQViP2wCskggNqeRCYslipyfNY=";

/// Starts an import of standard input, writes `lines`, sends a signal while the import waits for
/// more, and returns the report, which it compares with the audit event.
fn interrupted(cli: &Cli, arguments: &[&str], lines: &str, signal: &str, kind: &str) -> Value {
    let mut command = cli.command();
    command.args(arguments).arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    // The writer of the pipe is still there: the import has not ended because of it.
    drop(input);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(75), "{errors}");
    assert!(errors.contains("interrupted by a signal; run the command again"), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let event: Value =
        errors.lines().find(|line| is_audit(line)).map(serde_json::from_str).unwrap().unwrap();
    assert_eq!((&event["outcome"], &event[kind]), (&json!("failed"), &report["added"]), "{event}");
    report
}

fn assert_interrupted_import_is_completed_by_the_next(
    import: &[&str],
    list: &[&str],
    lines: &str,
    kind: &str,
) {
    for signal in ["-INT", "-TERM"] {
        let cli = Cli::new();
        let report = interrupted(&cli, import, lines, signal, kind);
        let added = report["added"].as_u64().unwrap();
        assert!(added > 0 && report["read"] == added && report["bad"] == json!([]), "{report}");
        let listed = cli.json(list).as_array().unwrap().len() as u64;
        assert_eq!(listed, added);
        let done = cli.pipe(lines, &[import, &["--json"]].concat()).json();
        let rest = u64::from(RECORDS) - added;
        assert_eq!((&done["added"], &done["already"]), (&json!(rest), &json!(added)));
    }
}

#[test]
fn interrupted_user_import_reports_what_it_added_and_exits_with_75() {
    let lines: String = (0..RECORDS)
        .map(|number| json!({ "username": format!("u{number}"), "hash": HASH }).to_string() + "\n")
        .collect();
    assert_interrupted_import_is_completed_by_the_next(
        &["user", "import", "-", "--format", "jsonl"],
        &["user", "list", "--limit", "10000"],
        &lines,
        "users",
    );
}

#[test]
fn interrupted_client_import_reports_what_it_added_and_exits_with_75() {
    let name = "n".repeat(100);
    let lines: String = (0..RECORDS)
        .map(|number| json!({ "client_id": format!("c{number}"), "name": name }).to_string() + "\n")
        .collect();
    assert_interrupted_import_is_completed_by_the_next(
        &["client", "import", "-"],
        &["client", "list", "--limit", "10000"],
        &lines,
        "clients",
    );
}
