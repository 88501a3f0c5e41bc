//! Passwords on the command line: how they come in, which are refused, and that they are seen nowhere.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use super::{Cli, members};

const PASSWORD: &str = "correct horse battery staple";

#[test]
fn a_password_that_nobody_could_log_in_with_is_refused() {
    let cli = Cli::new();
    let cases: [(&[u8], &str); 8] = [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\r\n", "empty"),
        (b"\xff\xfe", "UTF-8"),
        // The token endpoint would not take these (RFC 6749 Appendix A.16).
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
fn a_short_password_is_taken_with_a_word() {
    let cli = Cli::new();
    let add = ["user", "add", "alice", "--password-stdin", "--json"];
    let added = cli.pipe("sh\u{f6}rter\n", &add);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(
        added.remarks(),
        "sentinel: the password has fewer than 8 characters (password.min_length), and is taken all the same\n"
    );
    let added: serde_json::Value = serde_json::from_str(&added.stdout).unwrap();
    assert_eq!(added["username"], "alice");
    let passwd = ["user", "passwd", "alice", "--password-stdin", "--set", "password.min_length=5"];
    assert!(cli.pipe("four", &passwd).remarks().contains("fewer than 5 characters"));
    cli.pipe("\u{f6}five", &passwd).ok();
}

#[test]
fn a_password_that_bcrypt_cannot_take_is_refused() {
    let cli = Cli::new();
    let bcrypt = ["--set", "password.scheme=bcrypt", "--set", "password.bcrypt_cost=4"];
    let add = ["user", "add", "alice", "--password-stdin"];
    let done = cli.pipe("a".repeat(73), &[&add[..], &bcrypt].concat());
    done.fails(65, "at most 72 bytes");
    cli.pipe("a".repeat(72), &[&add[..], &bcrypt].concat()).ok();
}

#[test]
fn without_a_terminal_the_password_has_to_be_piped_in_on_purpose() {
    let cli = Cli::new();
    cli.add_user("alice", PASSWORD);
    cli.pipe(PASSWORD, &["user", "add", "bob"]).fails(64, "--password-stdin");
    cli.pipe(PASSWORD, &["user", "passwd", "alice"]).fails(64, "--password-stdin");
}

/// A terminal that is another session's, as under `setsid`.
#[test]
fn a_terminal_that_cannot_be_asked_at_is_none() {
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
fn a_password_is_never_taken_from_the_arguments() {
    let cli = Cli::new();
    cli.run(&["user", "add", "alice", PASSWORD]).is_misused("unexpected argument");
    cli.run(&["user", "add", "alice", "--password", PASSWORD]).is_misused("unexpected argument");
    let given = cli.run(&["user", "add", "alice", &format!("--password-stdin={PASSWORD}")]);
    given.is_misused("unexpected value");
}

#[test]
#[cfg(target_os = "linux")]
fn a_password_is_seen_neither_in_the_process_list_nor_in_the_output() {
    let cli = Cli::new();
    let mut command = cli.command();
    command.args(["user", "add", "alice", "--password-stdin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(PASSWORD.as_bytes()).unwrap();
    // It waits for the end of its input.
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
fn a_change_is_audited_without_the_password() {
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
fn no_command_prints_a_hash() {
    let cli = Cli::new();
    cli.add_user("alice", PASSWORD);
    let user = cli.json(&["user", "show", "alice"]);
    // serde_json sorts what it reads.
    let known = ["created_at", "enabled", "id", "scopes", "updated_at", "username"];
    assert_eq!(members(&user), known);
    assert_eq!(members(&cli.json(&["user", "list"])[0]), known);
}
