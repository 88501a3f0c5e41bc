//! The log when standard error fails: no request, command or end of the process depends on it. And
//! its size when a caller without credentials sends many requests.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, Read, pipe};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use crate::helpers::{sentinel, signal};

/// Settings for cheap password hashing, and JSON lines.
const SETTINGS: [&str; 6] = [
    "--set",
    "password.memory_kib=64",
    "--set",
    "password.iterations=1",
    "--set",
    "log.format=json",
];

/// Server whose standard error is a pipe or a file of the test.
struct Server {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts a server with this standard error, and reads its address from `log`.
    fn start(folder: &Path, more: &[&str], stderr: Stdio, log: &mut impl BufRead) -> Self {
        // A write beyond the limit on file sizes fails instead of ending the process.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_sentinel")]);
        command.args(["serve", "--bind", "127.0.0.1:0"]).args(SETTINGS).args(more);
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().unwrap();
        let mut server = Self { child, url: String::new(), http: reqwest::Client::new() };
        server.url = format!("http://{}", address(log, "listening"));
        server
    }

    async fn get(&self, path: &str) -> u16 {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap().status().as_u16()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> u16 {
        let request = self.http.post(format!("{}{path}", self.url)).form(form);
        request.send().await.unwrap().status().as_u16()
    }

    /// Requests a token for the client itself, which writes to the store.
    async fn token(&self, client: &Value) -> u16 {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client["client_id"].as_str().unwrap()),
            ("client_secret", client["client_secret"].as_str().unwrap()),
        ];
        self.post("/oauth/token", &form).await
    }

    /// Sends SIGTERM and returns the exit code.
    fn terminate(&mut self) -> Option<i32> {
        signal(&self.child.id().to_string(), "TERM");
        self.child.wait().unwrap().code()
    }

    /// Sets the limit on the size of files that the server writes, as if the disk were full.
    fn limit_files(&self, limit: Option<u64>) {
        let id = Pid::from_child(&self.child);
        let maximum = prlimit(Some(id), Resource::Fsize, Rlimit { current: None, maximum: None });
        let maximum = maximum.unwrap().maximum;
        prlimit(Some(id), Resource::Fsize, Rlimit { current: limit, maximum }).unwrap();
    }
}

/// Reads the log until a socket is announced, and returns its address.
fn address(log: &mut impl BufRead, message: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut line = String::new();
        // A file that the server is writing may end in the middle of a line.
        while !line.ends_with('\n') {
            assert!(Instant::now() < deadline, "the server did not log {message:?}");
            log.read_line(&mut line).unwrap();
        }
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == message {
            return line["address"].as_str().unwrap().to_owned();
        }
    }
}

fn run(folder: &Path, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> std::process::Output {
    let mut command = sentinel(folder);
    command.args(arguments).args(SETTINGS).stdout(stdout).stderr(stderr);
    command.spawn().unwrap().wait_with_output().unwrap()
}

/// Adds a confidential client, and returns its credentials.
fn add_client(folder: &Path) -> Value {
    let done =
        run(folder, &["client", "add", "--confidential", "--json"], Stdio::piped(), Stdio::null());
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Returns a pipe that nothing reads.
fn closed_pipe() -> Stdio {
    pipe().unwrap().1.into()
}

/// Returns a device that is full.
fn full_device() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Returns the lines of an audit event.
fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[tokio::test]
async fn server_answers_and_stops_when_standard_error_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = pipe().unwrap();
    let mut log = BufReader::new(reader);
    let mut server = Server::start(folder.path(), &[], writer.into(), &mut log);
    drop(log);
    for number in 0..30 {
        let client = format!("unknown-{number}");
        let form = [("grant_type", "password"), ("client_id", &client), ("client_secret", "x")];
        assert!([401, 429].contains(&server.post("/oauth/token", &form).await));
        assert_eq!(server.post("/oauth/introspect", &[]).await, 401);
    }
    assert_eq!((server.get("/readyz").await, server.get("/healthz").await), (200, 200));
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test]
async fn server_answers_and_stops_when_standard_error_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let client = add_client(folder.path());
    let (reader, writer) = pipe().unwrap();
    let mut log = BufReader::new(reader);
    let more = ["--set", "metrics.bind=127.0.0.1:0", "--set", "log.level=trace"];
    let mut server = Server::start(folder.path(), &more, writer.into(), &mut log);
    let metrics = format!("http://{}/metrics", address(&mut log, "listening for metrics"));
    let dropped = fill_queue(&server, &client, &metrics).await;
    assert_eq!((server.get("/readyz").await, server.get("/healthz").await), (200, 200));

    // A reader gets the queued lines, and then the number of those that were dropped.
    let reader = read_until(log, "log_lines_dropped");
    let (log, line) = reader.await;
    assert_eq!((&line["target"], &line["level"]), (&"audit".into(), &"WARN".into()));
    assert!(line["dropped"].as_u64().unwrap() >= dropped, "{line}");

    fill_queue(&server, &client, &metrics).await;
    assert_eq!(server.terminate(), Some(0));
    drop(log);
}

/// Opens and closes connections, each of which logs some lines at the level `trace`, until the log
/// drops lines. Returns the number of dropped lines, at least.
async fn fill_queue(server: &Server, client: &Value, metrics: &str) -> u64 {
    let before = dropped_lines(server, metrics).await;
    let address = server.url.trim_start_matches("http://");
    for _ in 0..1000 {
        for _ in 0..200 {
            drop(std::net::TcpStream::connect(address).unwrap());
        }
        let dropped = dropped_lines(server, metrics).await - before;
        if dropped > 0 {
            // Each of these logs an audit event.
            for _ in 0..20 {
                assert_eq!(server.token(client).await, 200);
            }
            return dropped;
        }
    }
    panic!("no line was dropped");
}

async fn dropped_lines(server: &Server, metrics: &str) -> u64 {
    let text = server.http.get(metrics).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("sentinel_log_lines_dropped_total "));
    line.unwrap().parse().unwrap()
}

/// Reads the log, on a thread, until it has this audit event. Returns the event and the reader.
async fn read_until(
    mut log: BufReader<PipeReader>,
    event: &'static str,
) -> (BufReader<PipeReader>, Value) {
    let read = move || {
        loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the log ended");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["event"] == event {
                return (log, line);
            }
        }
    };
    let reading = tokio::task::spawn_blocking(read);
    tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap().unwrap()
}

#[tokio::test]
async fn server_recovers_without_restart_when_disk_of_store_and_log_was_full() {
    let folder = tempfile::tempdir().unwrap();
    let client = add_client(folder.path());
    let (mut log, file) = log_file(&folder);
    let mut server = Server::start(folder.path(), &[], file, &mut log);
    assert_eq!(server.token(&client).await, 200);
    // A thread of its own writes the line of the login.
    let mut text = String::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !text.contains("\"event\":\"login\"") {
        assert!(Instant::now() < deadline, "{text}");
        log.read_line(&mut text).unwrap();
    }

    server.limit_files(Some(0));
    for _ in 0..50 {
        assert_eq!(server.token(&client).await, 503);
        assert_eq!(server.get("/healthz").await, 200);
    }
    assert_eq!(server.get("/readyz").await, 503);

    server.limit_files(None);
    assert_eq!(server.token(&client).await, 200);
    assert_eq!((server.get("/readyz").await, server.get("/healthz").await), (200, 200));
    assert_eq!(server.terminate(), Some(0));
    log.read_to_string(&mut text).unwrap();
    let lines = json_lines(&text);
    let dropped = events(&lines, "log_lines_dropped");
    assert!(!dropped.is_empty() && dropped[0]["dropped"].as_u64() > Some(0), "{text}");
    // A line that waited in the queue while the disk was full may be written afterwards.
    let logins = events(&lines, "login");
    let logged_in: Vec<_> = logins.iter().filter(|login| login["outcome"] == "ok").collect();
    assert_eq!(logged_in.len(), 2, "{text}");
}

/// Creates a log file, and returns it for reading and for appending.
fn log_file(folder: &TempDir) -> (BufReader<File>, Stdio) {
    let path = folder.path().join("sentinel.log");
    let writer = File::options().append(true).create(true).open(&path).unwrap();
    (BufReader::new(File::open(path).unwrap()), writer.into())
}

#[tokio::test]
async fn one_address_cannot_fill_the_log() {
    const EACH: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let public =
        run(folder.path(), &["client", "add", "--json"], Stdio::piped(), Stdio::null()).stdout;
    let public: Value = serde_json::from_slice(&public).unwrap();
    let public = [("client_id", public["client_id"].as_str().unwrap()), ("token", "x")];
    let confidential = add_client(folder.path());
    let confidential = [("client_id", confidential["client_id"].as_str().unwrap())];
    let (mut log, file) = log_file(&folder);
    // Limits on guesses would answer most of these requests without a line.
    let more = ["--set", "throttle.enabled=false", "--set", "management.username=operator"];
    let more = [&more[..], &["--set", "management.password=sesame"]].concat();
    let mut server = Server::start(folder.path(), &more, file, &mut log);
    let guess = [("grant_type", "password"), ("username", "nobody"), ("password", "x"), public[0]];
    for number in 0..EACH {
        let unknown = format!("unknown-{number}");
        let unknown = [("grant_type", "password"), ("client_id", unknown.as_str())];
        assert_eq!(server.post("/oauth/token", &unknown).await, 401);
        assert_eq!(server.post("/oauth/introspect", &[("token", "x")]).await, 401);
        assert_eq!(server.post("/oauth/introspect", &public).await, 401);
        assert_eq!(server.post("/oauth/introspect", &confidential).await, 401);
        assert_eq!(server.post("/oauth/token", &guess).await, 400);
        let request = server.http.post(format!("{}/oauth/revoke", server.url));
        let request = request.header("authorization", "Basic %").form(&[("token", "x")]);
        assert_eq!(request.send().await.unwrap().status(), 401);
        let request = server.http.get(format!("{}/oauth/management", server.url));
        let request = request.basic_auth("operator", Some(number.to_string()));
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    assert_eq!(server.terminate(), Some(0));
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    let lines = json_lines(&text);
    for (event, reasons) in [
        (
            "client_authentication",
            &[
                "unknown client",
                "no client id",
                "public client",
                "wrong secret",
                "unreadable authorization header",
            ][..],
        ),
        ("login", &["unknown user"]),
        ("management_authentication", &[]),
    ] {
        let found = events(&lines, event);
        let reasons = if reasons.is_empty() { &[""] } else { reasons };
        for why in reasons {
            let of: Vec<_> = found
                .iter()
                .filter(|line| line["why"].as_str().unwrap_or_default() == *why)
                .collect();
            let repeated = |line: &&&Value| line["repeated"].as_u64();
            let counts: Vec<_> = of.iter().filter_map(repeated).collect();
            assert_eq!((of.len(), counts), (2, vec![EACH as u64 - 1]), "{why}: {text}");
            assert!(of.iter().all(|line| line["address"] == "127.0.0.1"), "{text}");
        }
    }
    assert!(text.len() < 16 * 1024, "{} bytes: {text}", text.len());
}

#[tokio::test]
async fn requests_that_a_failing_store_refuses_are_logged_once_with_their_number() {
    const REQUESTS: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let client = add_client(folder.path());
    let (reader, writer) = pipe().unwrap();
    let mut log = BufReader::new(reader);
    let mut server = Server::start(folder.path(), &[], writer.into(), &mut log);
    server.limit_files(Some(0));
    assert_eq!(server.token(&client).await, 503);
    for _ in 1..REQUESTS {
        assert_eq!(server.get("/readyz").await, 503);
    }
    assert_eq!(server.terminate(), Some(0));
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    let lines = json_lines(&text);
    let of = |name: &str| {
        let line =
            |line: &&Value| line[name].as_str().unwrap_or_default().starts_with("answered 503");
        lines.iter().filter(line).collect::<Vec<_>>()
    };
    assert_eq!((of("message").len(), of("line").len()), (1, 1), "{text}");
    assert_eq!(of("line")[0]["repeated"], REQUESTS - 1, "{text}");
    assert!(text.len() < 8 * 1024, "{text}");
}

#[test]
fn command_succeeds_when_standard_error_is_closed_or_full() {
    let folder = tempfile::tempdir().unwrap();
    for (name, stderr) in [("alice", closed_pipe()), ("bob", full_device())] {
        let mut command = sentinel(folder.path());
        command.args(["user", "add", name, "--password-stdin"]).args(SETTINGS);
        command.stdin(Stdio::from(password())).stdout(Stdio::null()).stderr(stderr);
        assert_eq!(command.status().unwrap().code(), Some(0));
        let found = run(folder.path(), &["user", "show", name], Stdio::null(), Stdio::null());
        assert_eq!(found.status.code(), Some(0));
    }
}

/// Returns a standard input with a password.
fn password() -> PipeReader {
    use std::io::Write;
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"correct horse battery staple").unwrap();
    reader
}

#[test]
fn command_keeps_its_exit_code_when_standard_error_is_closed_or_full() {
    let folder = tempfile::tempdir().unwrap();
    for stderr in [closed_pipe(), full_device()] {
        let missing = run(folder.path(), &["user", "show", "nobody"], Stdio::null(), stderr);
        assert_eq!(missing.status.code(), Some(65));
    }
    let usage = run(folder.path(), &["user", "frobnicate"], Stdio::null(), closed_pipe());
    assert_eq!(usage.status.code(), Some(64));
}

#[test]
fn command_ends_when_standard_error_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (unread, mut writer) = pipe().unwrap();
    // Fills the pipe.
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while std::io::Write::write(&mut writer, &[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let stderr = || writer.try_clone().unwrap().into();
    let done = run(folder.path(), &["client", "add"], Stdio::piped(), stderr());
    assert_eq!(done.status.code(), Some(0));
    let done = run(folder.path(), &["user", "show", "nobody"], Stdio::piped(), stderr());
    assert_eq!(done.status.code(), Some(65));
    drop(unread);
}

#[test]
fn change_whose_result_cannot_be_printed_is_an_output_error() {
    let folder = tempfile::tempdir().unwrap();
    for stdout in [closed_pipe, full_device] {
        let add = ["client", "add", "--confidential"];
        let done = run(folder.path(), &add, stdout(), Stdio::piped());
        let message = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(74), "{message}");
        let last = message.lines().last().unwrap();
        assert!(
            last.starts_with("sentinel: the change is made; cannot write the output"),
            "{last}"
        );
        // The remedy in the message gives the client a secret that can be read.
        let remedy = last.split("use: sentinel ").nth(1).unwrap().split(' ').collect::<Vec<_>>();
        let rotated = run(folder.path(), &remedy, Stdio::piped(), Stdio::null());
        let rotated = String::from_utf8(rotated.stdout).unwrap();
        assert!(rotated.contains("client_secret"), "{rotated}");
    }
    // The reader of a list may stop early.
    let list = run(folder.path(), &["client", "list"], closed_pipe(), Stdio::null());
    assert_eq!(list.status.code(), Some(0));
}
