//! Third-party programs, as in the examples: starts them, waits for their port, stops them.

use std::ffi::{OsStr, OsString};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Returns a command without the environment of the test run, such as a proxy setting, except
/// `PATH`. `tests/setup.sh` may install Node.js into `.cache/`; nginx may be in `/usr/sbin`.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut path = OsString::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/node/bin:"));
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path.push(":/usr/sbin");
    let mut command = Command::new(program);
    command.env_clear().env("PATH", path);
    command
}

/// Advice for a program that is not installed.
pub const SETUP: &str = "run tests/setup.sh, as `make test` does";

/// Program that serves on a port; stopped on drop.
pub struct ExternalProgram {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    log: PathBuf,
}

impl ExternalProgram {
    /// Starts the program and waits until the port accepts connections. Its output goes to a file
    /// in `folder`.
    pub fn start(mut command: Command, port: u16, folder: &Path) -> Self {
        let program = command.get_program().to_owned();
        let log = folder.join("output");
        let output = std::fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; {SETUP}", program.display()));
        let mut external = Self { child, url: format!("http://127.0.0.1:{port}"), log };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = external.child.try_wait().unwrap();
            let late = Instant::now() > deadline;
            assert!(ended.is_none() && !late, "{program:?} does not listen\n{}", external.output());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        external
    }

    /// Returns the output so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for ExternalProgram {
    fn drop(&mut self) {
        // SIGTERM first, on which nginx also stops its worker.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").arg(&id).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a port that is not in use.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Server that accepts connections and never responds.
pub struct UnresponsiveServer(TcpListener);

impl UnresponsiveServer {
    pub fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}
