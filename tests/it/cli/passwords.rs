//! Passwords on the command line: their input, the refused ones, and that none is ever printed.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use super::{Cli, members};

const PASSWORD: &str = "correct horse battery staple";

#[test]
fn password_that_token_endpoint_refuses_cannot_be_set() {
    let cli = Cli::new();
    let cases: [(&[u8], &str); 8] = [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\r\n", "empty"),
        (b"\xff\xfe", "UTF-8"),
        // The token endpoint would refuse these (RFC 6749 Appendix A.16).
        (b"two\n\n", "line break"),
        (b"a\nb", "line break"),
        (b"nul\0", "control character"),
        (&[b'a'; (64 << 10) + 1], "longer than"),
    ];
    for (password, what) in cases {
        let done = cli.pipe(password, &["user", "add", "alice", "--password-stdin"]);
        done.fails(65, what);
    }
    assert_eq!(cli.json(&["user", "list"]), json!([]));
}

#[test]
fn short_password_is_accepted_with_warning() {
    let cli = Cli::new();
    let add = ["user", "add", "alice", "--password-stdin", "--json"];
    let added = cli.pipe("sh\u{f6}rter\n", &add);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(
        added.remarks(),
        "sentinel: warning: accepted a password with fewer than 8 characters (password.min_length)\n"
    );
    let added: serde_json::Value = serde_json::from_str(&added.stdout).unwrap();
    assert_eq!(added["username"], "alice");
    let passwd = ["user", "passwd", "alice", "--password-stdin", "--set", "password.min_length=5"];
    assert!(cli.pipe("four", &passwd).remarks().contains("fewer than 5 characters"));
    cli.pipe("\u{f6}five", &passwd).ok();
}

#[test]
fn password_too_long_for_bcrypt_is_refused() {
    let cli = Cli::new();
    let bcrypt = ["--set", "password.scheme=bcrypt", "--set", "password.bcrypt_cost=4"];
    let add = ["user", "add", "alice", "--password-stdin"];
    let done = cli.pipe("a".repeat(73), &[&add[..], &bcrypt].concat());
    done.fails(65, "at most 72 bytes");
    cli.pipe("a".repeat(72), &[&add[..], &bcrypt].concat()).ok();
}

#[test]
fn piped_password_requires_password_stdin_option() {
    let cli = Cli::new();
    cli.add_user("alice", PASSWORD);
    cli.pipe(PASSWORD, &["user", "add", "bob"]).fails(64, "--password-stdin");
    cli.pipe(PASSWORD, &["user", "passwd", "alice"]).fails(64, "--password-stdin");
}

/// Uses a terminal of another session as standard input, as under `setsid`.
#[test]
fn terminal_of_another_session_is_not_used_for_prompt() {
    const ELSEWHERE: &str = "import pty, subprocess, sys
sys.exit(subprocess.run(sys.argv[1:], stdin=pty.openpty()[1], start_new_session=True).returncode)";
    let cli = Cli::new();
    cli.add_user("alice", PASSWORD);
    for arguments in [["user", "passwd", "alice"], ["user", "add", "bob"]] {
        let command = cli.command();
        let mut elsewhere = std::process::Command::new("python3");
        elsewhere.args(["-c", ELSEWHERE]).arg(command.get_program()).args(command.get_args());
        super::finish(elsewhere.args(arguments), b"").fails(64, "--password-stdin");
    }
}

#[test]
fn password_argument_is_usage_error() {
    let cli = Cli::new();
    cli.run(&["user", "add", "alice", PASSWORD]).fails_with_usage("unexpected argument");
    cli.run(&["user", "add", "alice", "--password", PASSWORD])
        .fails_with_usage("unexpected argument");
    let given = cli.run(&["user", "add", "alice", &format!("--password-stdin={PASSWORD}")]);
    given.fails_with_usage("unexpected value");
}

#[test]
#[cfg(target_os = "linux")]
fn password_appears_in_neither_process_list_nor_output() {
    let cli = Cli::new();
    let mut command = cli.command();
    command.args(["user", "add", "alice", "--password-stdin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(PASSWORD.as_bytes()).unwrap();
    // The command waits for the end of its input.
    for file in ["cmdline", "environ", "comm"] {
        let seen = std::fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
        assert!(!String::from_utf8_lossy(&seen).contains(PASSWORD));
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    for shown in [output.stdout, output.stderr] {
        assert!(!String::from_utf8_lossy(&shown).contains(PASSWORD));
    }
}

#[test]
fn password_change_is_audited_without_password() {
    let cli = Cli::new();
    let id = cli.add_user("alice", PASSWORD);
    let passwd = cli.pipe(PASSWORD, &["user", "passwd", "alice", "--password-stdin"]);
    let event: serde_json::Value = serde_json::from_str(&passwd.stderr).unwrap();
    assert_eq!((&event["event"], &event["user"]), (&json!("user_changed"), &json!(id)));
    assert_eq!(event["password_changed"], json!(true));
    assert_eq!([&event["renamed"], &event["scopes_changed"]], [false, false]);
    assert!(!passwd.stderr.contains(PASSWORD) && !passwd.stderr.contains("argon2"), "{passwd:?}");
    assert_eq!(cli.run(&["user", "show", "alice"]).stderr, "");
}

#[test]
fn user_commands_print_no_password_hash() {
    let cli = Cli::new();
    cli.add_user("alice", PASSWORD);
    let user = cli.json(&["user", "show", "alice"]);
    // `serde_json` sorts the members that it reads.
    let known = ["created_at", "enabled", "id", "scopes", "updated_at", "username"];
    assert_eq!(members(&user), known);
    assert_eq!(members(&cli.json(&["user", "list"])[0]), known);
}
