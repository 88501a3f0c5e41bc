//! Passwords on the command line: their input, the refused ones, and that none is ever printed.

use std::io::{ErrorKind, Write};
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
        match std::fs::read(format!("/proc/{}/{file}", child.id())) {
            Ok(seen) => assert!(!String::from_utf8_lossy(&seen).contains(PASSWORD)),
            // The process cannot be traced, so only root can read its environment.
            Err(error) => {
                assert_eq!((file, error.kind()), ("environ", ErrorKind::PermissionDenied));
            }
        }
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

#[test]
fn byte_order_mark_is_no_part_of_password_or_row() {
    let cli = Cli::new();
    let shown = "passwords with fewer than 8 characters";
    cli.pipe("\u{feff}1234567", &["user", "add", "zoe", "--password-stdin"]);
    let short = cli.pipe("\u{feff}1234567", &["user", "passwd", "zoe", "--password-stdin"]);
    assert!(short.remarks().contains("fewer than 8 characters"), "{short:?}");
    for (format, text) in [
        ("csv", "\u{feff}username,password\nalice,1234567\n"),
        ("jsonl", "\u{feff}{\"username\":\"bob\",\"password\":\"1234567\"}\n"),
    ] {
        let done = cli.pipe(text, &["user", "import", "-", "--format", format]);
        assert!(done.code == 0 && done.remarks().contains(shown), "{done:?}");
    }
    let client = "\u{feff}{\"client_id\":\"app\"}\n";
    assert_eq!(cli.pipe(client, &["client", "import", "-", "--json"]).json()["added"], 1);
    cli.write("secret", "\u{feff}1234567890123");
    let file = format!("management.password_file={}", cli.path("secret"));
    let check = ["config", "check", "--set", "management.username=op", "--set", &file];
    cli.run(&check).ok();
    cli.write("secret", "\u{feff}12345678901");
    let short = cli.run(&check);
    assert!(short.code == 0 && short.stderr.contains("management.password has fewer"), "{short:?}");
}

/// Answers two prompts, or sends a signal at one, on a terminal of its own. Prints whether the
/// terminal echoes at the prompt and afterwards, and how the program ended.
const TERMINAL: &str = r#"
import os, pty, signal, sys, termios, time
action, command = sys.argv[1], sys.argv[2:]
master, terminal = pty.openpty()
def echoes():
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
before = echoes()
pid = os.fork()
if pid == 0:
    os.setsid()
    import fcntl
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(terminal, number)
    os.execv(command[0], command)
def wait_for(text):
    seen = b""
    while text not in seen:
        seen += os.read(master, 1024)
def wait_until_silent():
    deadline = time.monotonic() + 20
    while echoes():
        assert time.monotonic() < deadline
wait_for(b"Password for")
wait_until_silent()
if action == "answer":
    os.write(master, b"long enough\r")
    wait_for(b"Repeat")
    wait_until_silent()
    os.write(master, b"long enough\r")
elif action == "ctrl-c":
    os.write(master, b"\x03")
else:
    os.kill(pid, getattr(signal, action))
_, status = os.waitpid(pid, 0)
print(before, echoes(), os.WIFEXITED(status), os.waitstatus_to_exitcode(status))
"#;

/// A process that a signal kills at the prompt leaves the terminal without echo.
#[test]
fn signal_at_password_prompt_restores_echo_of_terminal() {
    let cli = Cli::new();
    for (action, code) in [("ctrl-c", 130), ("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)] {
        let done = prompted(&cli, action);
        assert_eq!(done.stdout, format!("True True True {code}\n"), "{action}: {done:?}");
    }
    assert_eq!(cli.json(&["user", "list"]), json!([]));
    let done = prompted(&cli, "answer");
    assert_eq!(done.stdout, "True True True 0\n", "{done:?}");
    assert_eq!(cli.json(&["user", "list"])[0]["username"], "alice");
}

fn prompted(cli: &Cli, action: &str) -> super::CommandResult {
    let command = cli.command();
    let mut terminal = std::process::Command::new("python3");
    terminal.args(["-c", TERMINAL, action]).arg(command.get_program()).args(command.get_args());
    super::finish(terminal.args(["user", "add", "alice"]), b"")
}
