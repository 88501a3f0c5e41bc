//! Services of the operating system that fail, random bytes and the clock, and core dumps.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::helpers::{Process, SETUP, TestResponse, send, sentinel, signal};

const PASSWORD: &str = "correct horse battery staple";

/// Library that is loaded before the C library. While the file that `NO_RANDOM_BYTES` names exists,
/// getrandom(2) fails, and with `BEFORE_1970` the clock is in 1969.
const FAULTS: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

ssize_t getrandom(void *bytes, size_t length, unsigned int flags) {
    const char *file = getenv("NO_RANDOM_BYTES");
    if (file && access(file, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_getrandom, bytes, length, flags);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && getenv("BEFORE_1970"))
        now->tv_sec = -1000000;
    return result;
}
"#;

/// Compiles the library, and returns its path.
fn faults(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("faults.c"), folder.join("faults.so"));
    fs::write(&source, FAULTS).unwrap();
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    let compiled = compile.status().unwrap_or_else(|error| panic!("cc: {error}; {SETUP}"));
    assert!(compiled.success());
    library
}

/// Returns a command with cheap hashing.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = sentinel(folder);
    command.args(arguments).args(["--set", "password.memory_kib=64"]);
    command.args(["--set", "password.iterations=1"]);
    command
}

/// Adds a client and a user, and returns the client's id.
fn add_client_and_user(folder: &Path) -> String {
    let client = command(folder, &["client", "add", "--json"]).output().unwrap().stdout;
    let client: Value = serde_json::from_slice(&client).unwrap();
    let password = folder.join("password");
    fs::write(&password, PASSWORD).unwrap();
    let mut add = command(folder, &["user", "add", "alice", "--password-stdin"]);
    assert!(add.stdin(fs::File::open(password).unwrap()).output().unwrap().status.success());
    client["client_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn requests_that_need_random_bytes_are_answered_503_while_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let client = add_client_and_user(folder.path());
    let missing = folder.path().join("no-random-bytes");
    let serve = ["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json"];
    let mut serve = command(folder.path(), &serve);
    // The standard library needs random bytes on each new thread, and panics without them.
    serve.args(["--set", "server.workers=1"]).env("LD_PRELOAD", faults(folder.path()));
    serve.env("NO_RANDOM_BYTES", &missing).stdout(Stdio::null());
    let process = Process::start(serve);
    let http = reqwest::Client::new();
    let token = async |form: &[(&str, &str)]| -> TestResponse {
        let form = [&[("client_id", client.as_str())], form].concat();
        send(http.post(format!("http://{}/oauth/token", process.address)).form(&form)).await
    };
    let login = [("grant_type", "password"), ("username", "alice"), ("password", PASSWORD)];
    let tokens = token(&login).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let refresh_token = tokens.refresh_token();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];

    fs::write(&missing, "").unwrap();
    token(&login).await.assert_error(503, "temporarily_unavailable");
    token(&refresh).await.assert_error(503, "temporarily_unavailable");
    let alive = send(http.get(format!("http://{}/healthz", process.address))).await;
    assert_eq!(alive.status, 200);

    fs::remove_file(&missing).unwrap();
    assert_eq!(token(&refresh).await.status, 200);
    assert_eq!(token(&login).await.status, 200);
    process.signal("HUP");
    let lines = process.lines_until("SIGHUP");
    let of: Vec<_> = lines.iter().filter(|line| line.contains("random bytes")).collect();
    assert_eq!(of.len(), 1, "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("panicked")), "{lines:?}");
}

#[test]
fn start_with_a_clock_before_1970_fails_with_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let library = faults(folder.path());
    for arguments in [&["serve", "--bind", "127.0.0.1:0"][..], &["user", "list"]] {
        let mut command = command(folder.path(), arguments);
        command.env("LD_PRELOAD", &library).env("BEFORE_1970", "1");
        let done = command.output().unwrap();
        let message = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(69), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.starts_with("sentinel: the system clock is before 1970"), "{message}");
    }
}

#[test]
fn process_leaves_no_core_dump() {
    let folder = tempfile::tempdir().unwrap();
    // The command waits for the password.
    let mut command = command(folder.path(), &["user", "add", "alice", "--password-stdin"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let limits = fs::read_to_string(&limits).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        if line.split_whitespace().skip(4).take(2).eq(["0", "0"]) {
            break;
        }
        assert!(Instant::now() < deadline, "{line}");
        std::thread::yield_now();
    }
    // Without the limit, which only root can raise, the process still cannot be dumped. Shells let
    // their background jobs ignore SIGINT and SIGQUIT, but not SIGABRT.
    let unlimited = Rlimit { current: None, maximum: None };
    let _ = prlimit(Some(Pid::from_child(&child)), Resource::Core, unlimited);
    signal(&child.id().to_string(), "ABRT");
    let status = child.wait().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}
