//! Servers under load, each in its own process on the servers' core.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::Value;

use crate::{baseline, cores};

pub const PASSWORD: &str = "correct horse battery staple";
pub const BINARY: &str = env!("CARGO_BIN_EXE_sentinel");

/// Name of the settings file in the folder of the store.
const SETTINGS: &str = "bench.toml";

/// Server process, killed on drop.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts `sentinel serve` on the store in `folder`, with one I/O thread.
    pub fn sentinel(folder: &Path) -> Result<Self> {
        Self::sentinel_with(folder, &[])
    }

    pub fn sentinel_with(folder: &Path, more: &[&str]) -> Result<Self> {
        let mut command = sentinel(folder);
        command.args(["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json"]);
        command.args(["--set", "server.workers=1", "--set", "throttle.enabled=false"]).args(more);
        let mut child = cores::start_on_server_core(|| {
            Ok(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?)
        })?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let address = loop {
            let line = lines.next().context("the server did not start")??;
            if line.contains("\"message\":\"listening\"") {
                let line: Value = serde_json::from_str(&line)?;
                break text(&line, "address")?.parse()?;
            }
        };
        // Reads the log to its end; a full pipe would block the server.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Self { child, address })
    }

    /// Starts a baseline server; see [`baseline`].
    pub fn baseline(kind: baseline::Kind, body: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["baseline", kind.name(), body]).stdout(Stdio::piped());
        let mut child = cores::start_on_server_core(|| Ok(command.spawn()?))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse()? })
    }

    /// Returns the processor time used by the process.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        // USER_HZ is 100 on all common Linux systems.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Returns the resident memory in bytes.
    pub fn resident_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("no VmRSS")?.parse::<u64>()? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sentinel(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    let settings = folder.join(SETTINGS);
    if settings.exists() {
        command.env("SENTINEL_CONFIG", settings);
    }
    command
}

/// Runs a command on the store in `folder`, and returns the JSON that it prints.
pub fn command(folder: &Path, arguments: &[&str], input: &str) -> Result<Value> {
    use std::io::Write as _;
    let mut command = sentinel(folder);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    child.stdin.take().context("no stdin")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "sentinel {arguments:?} failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Returns a string member of a JSON object.
pub fn text(object: &Value, name: &str) -> Result<String> {
    object
        .get(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("no {name}"))
}

/// Store with a user, a public client and a resource server.
pub struct Store {
    pub folder: tempfile::TempDir,
    pub app: String,
    /// Value of the resource server's `Authorization` header.
    pub api_basic: String,
}

impl Store {
    pub fn new() -> Result<Self> {
        Self::with_settings("")
    }

    pub fn with_settings(settings: &str) -> Result<Self> {
        // In the build folder, because the system's temporary folder may be in memory, where
        // commits
        // cost nothing.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let path = folder.path();
        std::fs::write(path.join(SETTINGS), settings)?;
        command(path, &["user", "add", "ada", "--password-stdin", "--json"], PASSWORD)?;
        let app =
            ["client", "add", "--name", "app", "--scope", "read", "--scope", "write", "--json"];
        let app = command(path, &app, "")?;
        let api =
            ["client", "add", "--confidential", "--introspection", "--scope", "read", "--json"];
        let api = command(path, &api, "")?;
        let (app, id) = (text(&app, "client_id")?, text(&api, "client_id")?);
        let secret = text(&api, "client_secret")?;
        let encoded = base64::prelude::BASE64_STANDARD.encode(format!("{id}:{secret}"));
        Ok(Self { folder, app, api_basic: format!("Basic {encoded}") })
    }
}
