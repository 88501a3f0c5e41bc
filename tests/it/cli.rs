//! The command line, as the real binary that an operator runs.

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
mod passwords;
mod server;
mod sessions;
mod tools;
mod users;

/// Cheap hashing, so that tests measure something else.
const CHEAP: [&str; 4] = ["--set", "password.memory_kib=64", "--set", "password.iterations=1"];

/// Commands on a store of their own.
struct Cli {
    folder: TempDir,
}

/// What came of a command.
#[derive(Debug)]
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Cli {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A path in the folder of the test.
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file into the folder of the test; its path.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn command(&self) -> Command {
        let mut command = sentinel(self.folder.path());
        command.arg("--set").arg(format!("store.path={}", self.path("sentinel.db"))).args(CHEAP);
        command
    }

    /// Runs a command with nothing on its standard input.
    fn run(&self, arguments: &[&str]) -> Done {
        finish(self.command().args(arguments), b"")
    }

    /// Runs a command that reads this from its standard input.
    fn pipe(&self, input: impl AsRef<[u8]>, arguments: &[&str]) -> Done {
        finish(self.command().args(arguments), input.as_ref())
    }

    /// Runs a command that works, with `--json`.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    /// Adds a user; its id.
    #[track_caller]
    fn add_user(&self, name: &str, password: &str) -> String {
        let done = self.pipe(password, &["user", "add", name, "--password-stdin", "--json"]);
        done.json()["id"].as_str().unwrap().to_owned()
    }

    /// Adds a client; its id.
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

impl Done {
    /// What a command that worked, and has no remark to make, has printed.
    #[track_caller]
    fn ok(&self) -> &str {
        assert_eq!((self.code, self.remarks()), (0, String::new()), "{self:?}");
        self.stdout.trim_end()
    }

    /// What stands on standard error beside the audit events.
    fn remarks(&self) -> String {
        self.stderr.lines().filter(|line| !is_audit(line)).map(|line| format!("{line}\n")).collect()
    }

    /// The audit event that it has left.
    #[track_caller]
    fn audited(&self) -> Value {
        let events: Vec<_> = self.stderr.lines().filter(|line| is_audit(line)).collect();
        assert_eq!(events.len(), 1, "{self:?}");
        serde_json::from_str(events[0]).unwrap()
    }

    /// The one line of JSON that a command that worked has printed.
    #[track_caller]
    fn json(&self) -> Value {
        let line = self.ok();
        assert_eq!(line.lines().count(), 1, "{line}");
        serde_json::from_str(line).unwrap()
    }

    /// Asserts a failure: the code, nothing on standard output, and one line on standard error that
    /// says `what`.
    #[track_caller]
    fn fails(&self, code: i32, what: &str) {
        self.assert_failed(code, what);
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.starts_with("sentinel: "), "{self:?}");
    }

    /// Asserts a command line that the parser refuses, in a few lines of its own.
    #[track_caller]
    fn is_misused(&self, what: &str) {
        self.assert_failed(64, what);
    }

    #[track_caller]
    fn assert_failed(&self, code: i32, what: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        assert!(self.stderr.contains(what), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}

/// Feeds a command and waits for it: not for ever, should it serve where it ought to fail.
fn finish(command: &mut Command, input: &[u8]) -> Done {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses before it reads has closed its end.
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
    Done {
        code: output.status.code().expect("the command ends by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn is_audit(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|line| line["target"] == "audit")
}

/// The names of the members of a JSON object, in their order.
fn members(json: &Value) -> Vec<&str> {
    json.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Asserts a moment as RFC 3339 has it, in UTC.
#[track_caller]
fn assert_moment(json: &Value) {
    let text = json.as_str().unwrap();
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00Z");
}
