//! The real binary, run in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Returns a command of the binary, run in a folder, without the environment of the test run.
pub fn sentinel(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Server in a process of its own; killed on drop.
pub struct Process {
    child: Child,
    /// Address and port, as in `127.0.0.1:PORT`.
    pub address: String,
    /// Log lines; the mutex lets several tasks share the process.
    lines: Mutex<Receiver<String>>,
}

impl Process {
    /// Starts `sentinel serve --bind 127.0.0.1:0` with more arguments, and waits until it listens.
    pub fn serve(folder: &Path, arguments: &[&str]) -> Self {
        Self::serve_with(folder, arguments, Stdio::null())
    }

    /// Starts a server as [`Self::serve`] does, with its standard output redirected.
    pub fn serve_with(folder: &Path, arguments: &[&str], stdout: Stdio) -> Self {
        let mut command = sentinel(folder);
        command.args(["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json"]);
        command.args(arguments).stdout(stdout);
        Self::start(command)
    }

    /// Starts a command that serves and logs in JSON, and waits until it listens on TCP.
    pub fn start(command: Command) -> Self {
        Self::start_with_lines(command).0
    }

    /// Starts a command as [`Self::start`] does, and returns the log lines before it listens, too.
    pub fn start_with_lines(mut command: Command) -> (Self, Vec<String>) {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut process = Self { child, address: String::new(), lines: Mutex::new(lines) };
        let (mut before, listening) = (Vec::new(), "\"message\":\"listening\"");
        let line = loop {
            let line = process.next_line(listening);
            if line.contains(listening) {
                break line;
            }
            before.push(line);
        };
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        process.address = line["address"].as_str().unwrap().to_owned();
        (process, before)
    }

    /// Waits for the next log line that contains `text`.
    pub fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.next_line(text);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for the next log line; `wanted` is for the panic message only.
    fn next_line(&self, wanted: &str) -> String {
        let line = self.lines.lock().unwrap().recv_timeout(Duration::from_secs(20));
        line.unwrap_or_else(|_| panic!("the server did not log {wanted:?}"))
    }

    /// Returns the log lines before the next one that contains `text`.
    pub fn lines_until(&self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.next_line(text);
            if line.contains(text) {
                return lines;
            }
            lines.push(line);
        }
    }

    /// Waits until a hashing thread is running on a processor.
    pub fn wait_until_hashing(&self) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !self.is_hashing() {
            assert!(std::time::Instant::now() < deadline, "no hashing thread ran");
            std::thread::yield_now();
        }
    }

    fn is_hashing(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks.flatten().any(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.contains("(hash-") && stat.contains(") R ")
        })
    }

    /// Returns the resident memory, in bytes.
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM, waits for the end, and returns the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }

    /// Sends SIGHUP and waits until the reload is complete.
    pub fn reload(&self) {
        self.signal("HUP");
        self.wait_for("SIGHUP: reload complete");
    }

    /// Sends a signal to the process.
    pub fn signal(&self, name: &str) {
        signal(&self.child.id().to_string(), name);
    }

    /// Suspends the process (SIGSTOP).
    pub fn suspend(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Kills the process (SIGKILL).
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process by its id.
pub fn signal(id: &str, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), id]).status().unwrap().success());
}
