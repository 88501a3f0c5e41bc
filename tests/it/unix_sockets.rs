//! Permissions and replacement of Unix sockets, whose peers are trusted like proxies.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::helpers::{Process, sentinel};

/// Starts a server with two Unix sockets under this umask.
fn serve(folder: &Path, umask: &str) -> Process {
    let server = sentinel(folder);
    let mut command = Command::new("sh");
    command.args(["-c", "umask \"$0\" && exec \"$@\"", umask]).arg(server.get_program());
    command.args(["serve", "--set", "log.format=json", "--set"]);
    command.args([
        "server.bind=127.0.0.1:0,unix:api.sock",
        "--set",
        "metrics.bind=unix:numbers.sock",
    ]);
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command.stdout(Stdio::null());
    Process::start(command)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn unix_socket_mode_follows_the_umask_and_excludes_other_users() {
    for (umask, expected) in [("0", 0o660), ("007", 0o660), ("022", 0o640), ("077", 0o600)] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = serve(folder.path(), umask);
        for name in ["api.sock", "numbers.sock"] {
            let found = mode(&folder.path().join(name));
            assert_eq!(found, expected, "{name} under {umask} is {found:o}");
        }
        assert_eq!(process.terminate(), Some(0));
    }
}

#[tokio::test]
async fn unix_socket_left_by_a_killed_server_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let http = reqwest::Client::builder().unix_socket(path.clone()).build().unwrap();
    let mut process = serve(folder.path(), "022");
    assert_eq!(http.get("http://localhost/healthz").send().await.unwrap().status(), 200);
    process.kill();
    assert!(path.exists());
    let http = reqwest::Client::builder().unix_socket(path).build().unwrap();
    let _next = serve(folder.path(), "022");
    assert_eq!(http.get("http://localhost/healthz").send().await.unwrap().status(), 200);
}

/// Runs a server that cannot bind there, which must not block, and returns its error output.
async fn refused(folder: &Path, bind: &str) -> String {
    let mut command = sentinel(folder);
    command.args(["serve", "--bind", "127.0.0.1:0", "--set", bind, "--set", "log.level=error"]);
    let output = tokio::process::Command::from(command).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(20), output).await;
    let output = output.expect("it ends by itself").unwrap();
    assert_eq!(output.status.code(), Some(69));
    String::from_utf8(output.stderr).unwrap()
}

/// A syslog socket, for example, whose path was configured by mistake.
#[tokio::test]
async fn datagram_socket_at_the_bind_path_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    let message = refused(folder.path(), "metrics.bind=unix:log").await;
    assert!(
        message.contains("cannot listen on unix:log (metrics.bind): a socket exists"),
        "{message}"
    );
    UnixDatagram::unbound().unwrap().send_to(b"still here", &path).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(log.recv(&mut buffer).unwrap(), b"still here".len());
}

#[tokio::test]
async fn unix_socket_with_a_full_backlog_is_not_replaced_or_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("busy");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = socket2::SockAddr::unix(&path).unwrap();
    let mut waiting = Vec::new();
    loop {
        let kind = socket2::Type::STREAM;
        let socket = socket2::Socket::new(socket2::Domain::UNIX, kind, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        if let Err(error) = socket.connect(&address) {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            break;
        }
        waiting.push(socket);
    }
    let message = refused(folder.path(), "metrics.bind=unix:busy").await;
    assert!(message.contains("(metrics.bind): another server is listening"), "{message}");
    listener.accept().unwrap();
    UnixStream::connect(&path).unwrap();
}
