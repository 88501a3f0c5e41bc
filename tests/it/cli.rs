//! Tests of the command line with the real binary.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::helpers::{Process, sentinel};

mod backups;
mod bulk;
mod bulk_audit;
mod bulk_clients;
mod clients;
mod failures;
mod interrupts;
mod passwords;
mod principals;
mod restores;
mod server;
mod sessions;
mod store_files;
mod terminal;
mod throttle;
mod tools;
mod users;

/// Settings for cheap password hashing, which keep the tests fast.
const CHEAP: [&str; 4] = ["--set", "password.memory_kib=64", "--set", "password.iterations=1"];

/// Runs commands on an embedded store in a temporary folder.
struct Cli {
    folder: TempDir,
}

/// Exit code and output of a command.
#[derive(Debug)]
struct CommandResult {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Cli {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Returns the path of a file in the folder of the test.
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Creates an empty store.
    fn create_store(&self) {
        self.run(&["client", "import", "-"]).ok();
    }

    /// Writes a file into the folder of the test, for its owner only. Returns its path.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.path(name), content).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), private).unwrap();
        self.path(name)
    }

    fn command(&self) -> Command {
        let mut command = sentinel(self.folder.path());
        command.arg("--set").arg(format!("store.path={}", self.path("sentinel.db"))).args(CHEAP);
        command
    }

    /// Runs a command with an empty standard input.
    fn run(&self, arguments: &[&str]) -> CommandResult {
        finish(self.command().args(arguments), b"")
    }

    /// Runs a command with `input` on its standard input.
    fn pipe(&self, input: impl AsRef<[u8]>, arguments: &[&str]) -> CommandResult {
        finish(self.command().args(arguments), input.as_ref())
    }

    /// Runs a command with `--json`, asserts that it succeeds, and returns its output.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    /// Adds a user. Returns its id.
    #[track_caller]
    fn add_user(&self, name: &str, password: &str) -> String {
        let done = self.pipe(password, &["user", "add", name, "--password-stdin", "--json"]);
        done.json()["id"].as_str().unwrap().to_owned()
    }

    /// Adds a client. Returns its id.
    #[track_caller]
    fn add_client(&self, options: &[&str]) -> String {
        let client = self.json(&[&["client", "add"], options].concat());
        client["client_id"].as_str().unwrap().to_owned()
    }

    /// Starts the server on the same store.
    fn serve(&self) -> Process {
        let store = format!("store.path={}", self.path("sentinel.db"));
        Process::serve(self.folder.path(), &[&["--set", &store], &CHEAP[..]].concat())
    }
}

impl CommandResult {
    /// Asserts success without remarks on standard error. Returns the standard output.
    #[track_caller]
    fn ok(&self) -> &str {
        assert_eq!((self.code, self.remarks()), (0, String::new()), "{self:?}");
        self.stdout.trim_end()
    }

    /// Returns the lines of standard error, without audit events and without the line that names a
    /// new store, which most tests do not concern.
    fn remarks(&self) -> String {
        let lines = self.stderr.lines().filter(|line| !is_audit(line));
        let lines = lines.filter(|line| !is_creation(line));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Asserts that there is exactly one audit event, and returns it.
    #[track_caller]
    fn audited(&self) -> Value {
        let events: Vec<_> = self.stderr.lines().filter(|line| is_audit(line)).collect();
        assert_eq!(events.len(), 1, "{self:?}");
        serde_json::from_str(events[0]).unwrap()
    }

    /// Asserts success and one line of output. Returns the line as JSON.
    #[track_caller]
    fn json(&self) -> Value {
        let line = self.ok();
        assert_eq!(line.lines().count(), 1, "{line}");
        serde_json::from_str(line).unwrap()
    }

    /// Asserts a failure with this exit code, an empty standard output, and one line on standard
    /// error that contains `what`.
    #[track_caller]
    fn fails(&self, code: i32, what: &str) {
        self.assert_failed(code, what);
        let lines: Vec<_> = self.stderr.lines().filter(|line| !is_creation(line)).collect();
        assert!(lines.len() == 1 && lines[0].starts_with("sentinel: "), "{self:?}");
    }

    /// Asserts that the argument parser rejects the command line. Its message may have several
    /// lines.
    #[track_caller]
    fn fails_with_usage(&self, what: &str) {
        self.assert_failed(64, what);
    }

    #[track_caller]
    fn assert_failed(&self, code: i32, what: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        assert!(self.stderr.contains(what), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}

/// Runs a command with `input` on its standard input. Kills it after a minute, in case it starts to
/// serve although it should fail.
fn finish(command: &mut Command, input: &[u8]) -> CommandResult {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails before it reads its input has closed the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    let id = child.id().to_string();
    let (finished, running) = channel::<()>();
    std::thread::spawn(move || {
        if running.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-9", &id]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(finished);
    CommandResult {
        code: output.status.code().expect("the command ends by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Returns whether a line of a command's standard error, or of a server's log, names a new store.
fn is_creation(line: &str) -> bool {
    line.contains("created the store")
}

fn is_audit(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|line| line["target"] == "audit")
}

/// Returns the names of the members of a JSON object, in their order.
fn members(json: &Value) -> Vec<&str> {
    json.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Asserts an RFC 3339 timestamp in UTC.
#[track_caller]
fn assert_moment(json: &Value) {
    let text = json.as_str().unwrap();
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00Z");
}
