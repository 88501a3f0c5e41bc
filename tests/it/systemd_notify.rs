//! Notifications to systemd (`sd_notify`), socket activation, and the unit files.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::helpers::{Process, SETUP, sentinel};

/// Stands in for systemd: receives the messages sent to `NOTIFY_SOCKET`.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(socket)
    }

    /// Waits for the next message.
    fn receive(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.0.recv(&mut buffer).expect("the server says something");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }
}

fn serve(folder: &Path) -> Command {
    let mut command = sentinel(folder);
    command.args(["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json"]);
    command.stdout(Stdio::null()).env("NOTIFY_SOCKET", folder.join("notify"));
    command
}

#[test]
fn systemd_is_notified_of_start_reload_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::at(&folder.path().join("notify"));
    let mut process = Process::start(serve(folder.path()));
    assert_eq!(supervisor.receive().trim_end(), "READY=1");
    // READY=1 means that the socket accepts connections.
    std::net::TcpStream::connect(&process.address).unwrap();
    let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    process.reload();
    let messages = supervisor.receive();
    let (reloading, time) = messages.split_once('\n').unwrap();
    assert_eq!(reloading, "RELOADING=1");
    let time: i64 = time.trim_end().strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!(time >= before.tv_sec * 1_000_000 + before.tv_nsec / 1_000, "{time} {before:?}");
    assert_eq!(supervisor.receive().trim_end(), "READY=1");
    assert_eq!(process.terminate(), Some(0));
    assert_eq!(supervisor.receive().trim_end(), "STOPPING=1");
}

/// systemd and container runtimes may name an abstract socket (unix(7)).
#[test]
fn abstract_notify_socket_is_notified() {
    use std::os::linux::net::SocketAddrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = format!("sentinel-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let supervisor = Supervisor(socket);
    let mut command = serve(folder.path());
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let mut process = Process::start(command);
    assert_eq!(supervisor.receive().trim_end(), "READY=1");
    assert_eq!(process.terminate(), Some(0));
    assert_eq!(supervisor.receive().trim_end(), "STOPPING=1");
}

#[test]
fn notify_socket_that_does_not_answer_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["@sentinel-test-without-a-receiver", "/nowhere/notify", "vsock:2:1"] {
        let mut command = serve(folder.path());
        command.env("NOTIFY_SOCKET", name);
        let process = Process::start(command);
        process.wait_for("cannot notify systemd (NOTIFY_SOCKET)");
    }
}

#[test]
fn watchdog_messages_are_sent_if_watchdog_usec_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::at(&folder.path().join("notify"));
    let mut command = serve(folder.path());
    command.env("WATCHDOG_USEC", "200000");
    let _process = Process::start(command);
    let messages: Vec<_> = (0..4).map(|_| supervisor.receive().trim_end().to_owned()).collect();
    assert_eq!(messages.iter().filter(|line| *line == "WATCHDOG=1").count(), 3, "{messages:?}");
}

#[test]
fn missing_notify_socket_does_not_affect_start_reload_or_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(serve(folder.path()));
    process.reload();
    assert_eq!(process.terminate(), Some(0));
}

/// Command for a server that inherits a socket as systemd passes it: as file descriptor 3, with
/// `LISTEN_PID` set to the process id. `exec` keeps the process id of the shell, so it is known.
fn activated(folder: &Path, listener: impl Into<OwnedFd>, more: &str) -> Command {
    let script = format!(
        "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec '{}' serve \
         --set log.format=json {more}",
        env!("CARGO_BIN_EXE_sentinel"),
    );
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).current_dir(folder).env_clear();
    command.stdin(listener.into()).stdout(Stdio::null());
    command
}

#[test]
fn socket_passed_by_systemd_replaces_server_bind() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Binding this address would fail, since it is in use.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = format!("--bind {},unix:not.sock", taken.local_addr().unwrap());
    let mut process = Process::start(activated(folder.path(), listener, &bind));
    assert_eq!(process.address, address);
    let output = Command::new("curl").args(["-sS", &format!("http://{address}/readyz")]).output();
    assert_eq!(output.unwrap().stdout, b"{\"status\":\"ok\"}");
    assert_eq!(process.terminate(), Some(0));
    let message = process.lines_until("\"stopped\"").join("\n");
    assert!(!message.contains("not.sock"), "{message}");
}

#[test]
fn unix_socket_passed_by_systemd_is_warned_of_if_world_accessible() {
    for (mode, warned) in [(0o660, false), (0o666, true)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentinel.sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let mut command = activated(folder.path(), listener, "");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let path = path.to_str().unwrap();
        // The kernel queues the connection until the server accepts it.
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20", "--unix-socket", path, "http://localhost/readyz"])
            .output();
        assert_eq!(output.unwrap().stdout, b"{\"status\":\"ok\"}");
        child.kill().unwrap();
        let log = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        child.wait().unwrap();
        assert_eq!(log.contains("every user of this machine can connect"), warned, "{log}");
        let listening: Vec<_> = log.lines().filter(|line| line.contains("\"listening\"")).collect();
        let [line] = listening.as_slice() else { panic!("{log}") };
        assert!(line.contains(&format!("\"path\":\"{path}\"")), "{line}");
    }
}

#[test]
fn plain_http_on_non_loopback_socket_passed_by_systemd_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let everywhere = || TcpListener::bind("0.0.0.0:0").unwrap();
    let output = activated(folder.path(), everywhere(), "").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{text}");
    // The first start also reports that it created the store.
    let mut lines = text.lines().filter(|line| !line.contains("created the store"));
    assert!(lines.next().is_some_and(|line| line.contains("server.trusted_proxies")), "{text}");
    assert_eq!(lines.next(), None, "{text}");
    let allowed = "--set server.allow_plain_http=true";
    assert_eq!(
        Process::start(activated(folder.path(), everywhere(), allowed)).terminate(),
        Some(0)
    );
}

fn analyze(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("systemd-analyze").args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("systemd-analyze: {error}; {SETUP}"));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

#[test]
fn units_pass_systemd_analyze_verify_and_exposure_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systemd");
    let units = std::fs::read_dir(units).unwrap().map(|entry| entry.unwrap().path());
    let units = units.filter(|path| path.extension().is_some());
    let mut paths = Vec::new();
    for path in units {
        // `systemd-analyze verify` checks that the executable exists.
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("/usr/local/bin/sentinel", env!("CARGO_BIN_EXE_sentinel"));
        let here = folder.path().join(path.file_name().unwrap());
        std::fs::write(&here, text).unwrap();
        paths.push(here.to_str().unwrap().to_owned());
    }
    assert_eq!(paths.len(), 4, "{paths:?}");
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let message = analyze(folder.path(), &[&["verify", "--man=no"], &paths[..]].concat());
    // Unknown directives are only warnings: the exit status is 0 all the same.
    assert!(!message.contains("/sentinel"), "{message}");
    let services: Vec<_> = paths.iter().filter(|path| path.ends_with(".service")).collect();
    assert_eq!(services.len(), 2, "{paths:?}");
    for path in services {
        let security = ["security", "--offline=true", "--threshold=20", "--no-pager", path];
        let message = analyze(folder.path(), &security);
        assert!(message.contains("Overall exposure level"), "{message}");
    }
}

#[test]
fn units_that_share_the_store_run_as_one_user_and_restart_on_failure() {
    let text = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systemd").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let (service, backup, command) =
        (text("sentinel.service"), text("sentinel-backup.service"), text("as_sentinel"));
    for line in [
        "DynamicUser=yes",
        "User=sentinel",
        "StateDirectory=sentinel",
        "StateDirectoryMode=0700",
        "WorkingDirectory=/var/lib/sentinel",
        "UMask=0077",
    ] {
        assert!(service.contains(&format!("\n{line}\n")), "{line}");
        assert!(backup.contains(&format!("\n{line}\n")), "{line}");
        assert!(command.contains(&format!("--property={line} ")), "{line}");
    }
    // A restart does not fix exit codes 64 and 78 (docs/cli.md); any other failure may be
    // temporary.
    assert!(service.contains("\nRestart=on-failure\n"));
    assert!(service.contains("\nRestartPreventExitStatus=64 78\n"));
    let unit = service.split("[Service]").next().unwrap();
    assert!(unit.contains("\nStartLimitIntervalSec=0\n"));
}
