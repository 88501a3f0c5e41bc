//! Runs the services of `docker-compose.yml` as processes of this machine.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::helpers::{command, installed};

/// Time limit of an operation; a slow machine takes seconds for each run of mongosh.
const LIMIT: Duration = Duration::from_secs(60);

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn compose() -> Value {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

pub fn dockerfile() -> String {
    std::fs::read_to_string(root().join("Dockerfile")).unwrap()
}

/// Returns the JSON array of the instruction whose line begins with `start` in the Dockerfile.
fn instruction(start: &str) -> Vec<String> {
    let text = dockerfile();
    let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
    serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap()
}

/// Returns a free port outside the range of ephemeral ports, from which the system assigns. Some
/// services start long after others received their address.
fn quiet_port() -> u16 {
    loop {
        let port = 20_000 + rand::random::<u16>() % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub struct Stack {
    folder: TempDir,
    compose: Value,
    /// Texts of the files, and their replacements on this machine.
    names: Vec<(String, String)>,
    ports: BTreeMap<&'static str, u16>,
    running: BTreeMap<String, Child>,
}

impl Stack {
    /// Prepares the files; no service runs yet.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("compose-").tempdir_in(parent).unwrap();
        let ports: BTreeMap<_, _> = ["mongo", "redis", "sentinel", "api", "public", "operator"]
            .map(|name| (name, quiet_port()))
            .into();
        let local = |name: &str| format!("127.0.0.1:{}", ports[name]);
        let here = |path: &str| folder.path().join(path).to_str().unwrap().to_owned();
        let names = [
            ("mongo:27017", local("mongo")),
            ("redis:6379", local("redis")),
            ("redis-cli", format!("redis-cli -p {}", ports["redis"])),
            ("sentinel:5000", local("sentinel")),
            ("0.0.0.0:5000", local("sentinel")),
            ("127.0.0.1:8081", local("api")),
            ("8443", ports["public"].to_string()),
            ("9443", ports["operator"].to_string()),
            ("${NETWORK:-172.31.53}.3", "127.0.0.1".to_owned()),
            ("${PUBLIC_URL:-https://localhost:8443}", Self::url(ports["public"])),
            ("/secrets", here("secrets")),
            ("/data/", format!("{}/", here("data"))),
            ("/tmp/", format!("{}/", here("nginx"))),
            ("/setup.sh", here("examples/compose/setup.sh")),
            ("/mongo.js", here("examples/compose/mongo.js")),
            ("/etc/nginx/examples", here("examples")),
            ("/etc/sentinel", here("")),
        ];
        let names = names.map(|(from, to)| (from.to_owned(), to)).into();
        let stack = Self { folder, compose: compose(), names, ports, running: BTreeMap::new() };
        for path in ["secrets", "data", "nginx", "mongo", "examples/compose", "examples/nginx"] {
            std::fs::create_dir_all(stack.path(path)).unwrap();
        }
        for entry in std::fs::read_dir(root().join("examples/compose")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            stack.copy(&format!("examples/compose/{name}"), &format!("examples/compose/{name}"));
        }
        stack.copy("examples/nginx/guard.conf", "examples/nginx/guard.conf");
        stack.copy("config/container.toml", "sentinel.toml");
        stack
    }

    fn url(port: u16) -> String {
        format!("https://localhost:{port}")
    }

    /// Base URL for clients.
    pub fn public(&self) -> String {
        Self::url(self.ports["public"])
    }

    /// Base URL for the operator.
    pub fn operator(&self) -> String {
        Self::url(self.ports["operator"])
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn copy(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(root().join(from)).unwrap();
        std::fs::write(self.path(to), self.localized(&text)).unwrap();
    }

    /// Returns a text of the files with the names replaced by those of this machine.
    pub fn localized(&self, text: &str) -> String {
        let (mut found, mut rest) = (String::new(), text);
        let next = |rest: &str| {
            let places =
                self.names.iter().filter_map(|(from, to)| Some((rest.find(from)?, from, to)));
            // The longer of two names that begin at the same place wins.
            places.min_by_key(|(at, from, _)| (*at, usize::MAX - from.len()))
        };
        while let Some((at, from, to)) = next(rest) {
            found.push_str(&rest[..at]);
            found.push_str(to);
            rest = &rest[at + from.len()..];
        }
        found + rest
    }

    fn words(&self, words: &Value) -> Vec<String> {
        let words = words.as_array().unwrap().iter();
        words.map(|word| self.localized(word.as_str().unwrap())).collect()
    }

    /// Returns a command in the environment of a service, as `docker compose exec` provides it.
    pub fn command(&self, service: &str, words: &[String]) -> Command {
        let mut command = match words[0].as_str() {
            "sentinel" => command(env!("CARGO_BIN_EXE_sentinel")),
            "mongod" => command(installed(".cache/mongod", "fiftyone/db/bin/mongod")),
            "mongosh" => command(installed(".cache/mongosh", "node_modules/.bin/mongosh")),
            program => command(program),
        };
        command.args(&words[1..]);
        if let Some(environment) = self.compose["services"][service]["environment"].as_object() {
            for (name, value) in environment {
                command.env(name, self.localized(value.as_str().unwrap()));
            }
        }
        if service == "sentinel" {
            assert!(dockerfile().contains("ENV SENTINEL_CONFIG=/etc/sentinel/sentinel.toml\n"));
            command.env("SENTINEL_CONFIG", self.path("sentinel.toml"));
        }
        command
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts a service without its dependencies.
    pub fn start(&mut self, service: &str) {
        let definition = &self.compose["services"][service];
        let (entrypoint, own) = (&definition["entrypoint"], &definition["command"]);
        let mut words = match (entrypoint, own) {
            (Value::Array(_), _) => self.words(entrypoint),
            (_, Value::Array(_)) => self.words(own),
            _ => [instruction("ENTRYPOINT "), instruction("CMD ")].concat(),
        };
        // Arguments that depend on the machine and not on the service.
        let port = self.ports.get(service).map(ToString::to_string).unwrap_or_default();
        let folder = self.path("mongo");
        let more: &[&str] = match service {
            "mongo" => &["--port", &port, "--dbpath", folder.to_str().unwrap(), "--nounixsocket"],
            "redis" => &["--port", &port, "--bind", "127.0.0.1"],
            _ => &[],
        };
        words.extend(more.iter().map(ToString::to_string));
        if service == "nginx" && rustix::process::geteuid().is_root() {
            // As root, nginx would switch to a user that may not enter the folder.
            words.last_mut().unwrap().push_str(" user root;");
        }
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.log_path(service));
        let log = log.unwrap();
        let mut command = self.command(service, &words);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.running.insert(service.to_owned(), child);
    }

    /// Starts a service after its dependencies and their conditions, like `docker compose up`.
    pub fn up(&mut self, service: &str) {
        if self.running.contains_key(service) {
            return;
        }
        let needed = self.compose["services"][service]["depends_on"].clone();
        for (name, how) in needed.as_object().into_iter().flatten() {
            self.up(name);
            match how["condition"].as_str().unwrap() {
                "service_healthy" => drop(self.wait_until_healthy(name)),
                "service_completed_successfully" => {
                    assert!(self.wait(name).success(), "{}", self.log(name));
                }
                other => panic!("{other}"),
            }
        }
        self.start(service);
    }

    /// Runs the health check of a service.
    fn is_healthy(&self, service: &str) -> bool {
        let test = &self.compose["services"][service]["healthcheck"]["test"];
        let mut words = match test {
            Value::Array(_) => self.words(test),
            _ => [vec!["CMD".to_owned()], instruction("HEALTHCHECK ")].concat(),
        };
        let kind = words.remove(0);
        if kind == "CMD-SHELL" {
            words = ["sh".to_owned(), "-c".to_owned(), words[0].replace("$$", "$")].into();
        }
        if service == "mongo" {
            words.extend(["--port".to_owned(), self.ports["mongo"].to_string()]);
        }
        self.command(service, &words).output().unwrap().status.success()
    }

    /// Waits until a service is healthy and returns the number of its restarts. Restarts it when it
    /// exits, like `restart: unless-stopped`.
    pub fn wait_until_healthy(&mut self, service: &str) -> usize {
        let deadline = Instant::now() + LIMIT;
        let mut restarts = 0;
        while !self.is_healthy(service) {
            assert!(Instant::now() < deadline, "{service} is not healthy: {}", self.log(service));
            if self.running.get_mut(service).unwrap().try_wait().unwrap().is_some() {
                self.start(service);
                restarts += 1;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        restarts
    }

    /// Waits until a service exits.
    pub fn wait(&mut self, service: &str) -> ExitStatus {
        self.running.get_mut(service).unwrap().wait().unwrap()
    }

    /// Kills a service with SIGKILL.
    pub fn kill(&mut self, service: &str) {
        if let Some(mut child) = self.running.remove(service) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn log_path(&self, service: &str) -> PathBuf {
        self.path(&format!("{service}.log"))
    }

    /// Returns the output of a service.
    pub fn log(&self, service: &str) -> String {
        std::fs::read_to_string(self.log_path(service)).unwrap_or_default()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SIGTERM goes first, because nginx then stops its workers as well.
        if let Some(mut nginx) = self.running.remove("nginx") {
            let _ = Command::new("kill").arg(nginx.id().to_string()).status();
            let _ = nginx.wait();
        }
        for service in ["sentinel", "redis", "mongo", "setup"] {
            self.kill(service);
        }
    }
}
