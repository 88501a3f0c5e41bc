//! Commands at a terminal: questions, and output without audit events.

use serde_json::json;

use super::{Cli, CommandResult, finish};

/// Runs a command on a terminal of its own. For each pair of arguments before `--`, waits for the
/// first text and enters the second one. Prints all that the terminal shows.
const TERMINAL: &str = r#"
import os, pty, sys, termios, time
end = sys.argv.index("--")
dialog, command = sys.argv[1:end], sys.argv[end + 1:]
pid, master = pty.fork()
if pid == 0:
    os.execv(command[0], command)
seen = b""
def read():
    global seen
    try:
        more = os.read(master, 4096)
    except OSError:
        more = b""
    seen += more
    return more != b""
for text, answer in zip(dialog[::2], dialog[1::2]):
    while text.encode() not in seen:
        assert read(), seen
    if text.startswith("Password") or text.startswith("Repeat"):
        while termios.tcgetattr(master)[3] & termios.ECHO:
            time.sleep(0.01)
    seen = seen.split(text.encode(), 1)[1]
    os.write(master, answer.encode() + b"\r")
while read():
    pass
print(seen.decode(), end="")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

/// Runs the command at a terminal, and answers its questions: pairs of a text and an answer.
fn at_terminal(cli: &Cli, dialog: &[&str], arguments: &[&str]) -> CommandResult {
    let command = cli.command();
    let mut terminal = std::process::Command::new("python3");
    terminal.args(["-c", TERMINAL]).args(dialog).arg("--");
    terminal.arg(command.get_program()).args(command.get_args()).args(arguments);
    finish(&mut terminal, b"")
}

#[test]
fn deletion_is_confirmed_at_terminal_only() {
    let cli = Cli::new();
    cli.add_user("alice", "long enough");
    for answer in ["", "n", "no", "nonsense"] {
        let done = at_terminal(&cli, &["[y/N]", answer], &["user", "delete", "alice"]);
        assert_eq!(done.code, 65, "{done:?}");
        assert!(done.stdout.contains("nothing was changed"), "{done:?}");
    }
    assert_eq!(cli.json(&["user", "list"])[0]["username"], "alice");
    let done = at_terminal(
        &cli,
        &["Delete user alice and end their sessions? [y/N]", "y"],
        &["user", "delete", "alice"],
    );
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(cli.json(&["user", "list"]), json!([]));

    let id = cli.add_client(&["--name", "App"]);
    let delete = ["client", "delete", &id];
    let question = format!("Delete client {id} (App) and end its sessions? [y/N]");
    assert_eq!(at_terminal(&cli, &[&question, "no"], &delete).code, 65);
    let done = at_terminal(&cli, &[], &[&delete[..], &["--yes"]].concat());
    assert!(done.code == 0 && !done.stdout.contains("[y/N]"), "{done:?}");

    // A script is not asked.
    cli.add_user("bob", "long enough");
    cli.run(&["user", "delete", "bob"]).ok();
    let id = cli.add_client(&[]);
    cli.run(&["client", "delete", &id]).ok();
}

#[test]
fn audit_events_are_printed_at_terminal_with_log_option_only() {
    let cli = Cli::new();
    let add = ["client", "add", "--name", "App"];
    let quiet = at_terminal(&cli, &[], &add);
    assert!(quiet.code == 0 && quiet.stdout.contains("client_id"), "{quiet:?}");
    assert!(!quiet.stdout.contains("client_added"), "{quiet:?}");
    let logged = at_terminal(&cli, &[], &[&add[..], &["--log"]].concat());
    assert!(logged.code == 0 && logged.stdout.contains("client_added"), "{logged:?}");
    assert_eq!(cli.run(&add).audited()["event"], "client_added");
}

#[test]
fn differing_passwords_are_asked_for_again() {
    let cli = Cli::new();
    let add = ["user", "add", "alice"];
    let entries = ["Password for", "long enough", "Repeat", "long enouhg"];
    let last = ["Password for", "long enough", "Repeat", "long enough"];
    let done = at_terminal(&cli, &[&entries[..], &last[..]].concat(), &add);
    assert_eq!(done.code, 0, "{done:?}");
    cli.run(&["user", "delete", "alice"]).ok();
    let done = at_terminal(&cli, &entries.repeat(3), &add);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(done.stdout.contains("differ; nothing was changed"), "{done:?}");
    assert_eq!(cli.json(&["user", "list"]), json!([]));
}
