//! Real Redis servers, each on a port of its own, without persistence unless a test enables it.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use deadpool_redis::redis::{Client, FromRedisValue, cmd};
use tempfile::TempDir;

use super::free_port;

/// Redis server that ends when this value is dropped, or with this process, even if it crashes.
pub struct Redis {
    pub url: String,
    tls_url: Option<String>,
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    watcher: Child,
}

/// Returns the URL of the server for tests that share one, or else starts a new one.
pub fn shared() -> (String, Option<Redis>) {
    match std::env::var("REDIS_TEST_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let own = Redis::start();
            (own.url.clone(), Some(own))
        }
    }
}

impl Redis {
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// Starts a server with these arguments, in a new folder.
    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let watcher = run(port, folder.path(), &arguments);
        let password = arguments.iter().position(|argument| argument == "--requirepass");
        let login = password.map_or_else(String::new, |at| format!(":{}@", arguments[at + 1]));
        let url = format!("redis://{login}127.0.0.1:{port}");
        let redis = Self { url, tls_url: None, port, arguments, folder, watcher };
        redis.wait();
        redis
    }

    /// Starts a server with a configuration file; the test connects as `user`.
    pub fn start_from(file: &Path, user: &str) -> Self {
        let mut redis = Self::start_with(&[file.to_str().unwrap()]);
        redis.url = format!("redis://{user}@127.0.0.1:{}", redis.port);
        redis
    }

    /// Starts a server with a TLS port for Sentinel, and a plain one for the commands of the test.
    pub fn start_with_tls(arguments: &[&str]) -> Self {
        let port = free_port().to_string();
        let mut redis = Self::start_with(&[arguments, &["--tls-port", &port]].concat());
        redis.tls_url = Some(format!("rediss://127.0.0.1:{port}"));
        redis
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL for `redis.url`: the TLS one if there is one.
    pub fn url_for_sentinel(&self) -> &str {
        self.tls_url.as_deref().unwrap_or(&self.url)
    }

    /// Runs one command on a connection of the test.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let client = Client::open(self.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query_async(&mut connection).await.unwrap()
    }

    /// Returns all keys with their types.
    pub async fn keys(&self) -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        for key in self.ask::<Vec<String>>(&["KEYS", "*"]).await {
            let kind: String = self.ask(&["TYPE", &key]).await;
            keys.insert(key, kind);
        }
        keys
    }

    /// Returns the string keys, which are the published tokens.
    pub async fn strings(&self) -> Vec<String> {
        let keys = self.keys().await.into_iter().filter(|(_, kind)| kind == "string");
        keys.map(|(key, _)| key).collect()
    }

    /// Returns the id of the user that a token is published for.
    pub async fn owner(&self, token: &str) -> Option<String> {
        self.ask(&["GET", token]).await
    }

    /// Suspends the server (SIGSTOP); its connections stay open.
    pub fn suspend(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Makes a snapshot fail, after which a Redis that makes snapshots refuses writes (MISCONF).
    pub async fn fail_snapshot(&self) {
        // A snapshot is written beside this folder, and cannot replace it.
        std::fs::create_dir(self.folder.path().join("dump.rdb")).unwrap();
        self.ask::<()>(&["BGSAVE"]).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self
            .ask::<String>(&["INFO", "persistence"])
            .await
            .contains("rdb_last_bgsave_status:err")
        {
            assert!(Instant::now() < deadline, "the snapshot does not fail");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills the server; data that is not on disk is lost.
    pub fn kill(&mut self) {
        if let Some(mut stdin) = self.watcher.stdin.take() {
            let _ = writeln!(stdin, "end");
        }
        let _ = self.watcher.wait();
    }

    /// Starts the server again on the same port and folder, after [`Self::kill`].
    pub fn restart(&mut self) {
        self.watcher = run(self.port, self.folder.path(), &self.arguments);
        self.wait();
    }

    fn signal(&self, signal: &str) {
        let id = std::fs::read_to_string(self.folder.path().join("redis.pid")).unwrap();
        super::signal(id.trim(), signal);
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let id = self.folder.path().join("redis.pid");
        let is_up = || {
            let has_id = std::fs::read_to_string(&id).is_ok_and(|id| !id.trim().is_empty());
            has_id && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        };
        while !is_up() {
            assert!(Instant::now() < deadline, "redis-server does not listen");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(port: u16, folder: &Path, arguments: &[String]) -> Child {
    // As for mongod, the shell kills the server at the end of its standard input.
    let script = r#"
        "$@" > /dev/null 2>&1 < /dev/null &
        read -r word
        kill -KILL $!; wait $!
    "#;
    let mut command = Command::new("sh");
    let _ = std::fs::remove_file(folder.join("redis.pid"));
    command.args(["-c", script, "sh", "redis-server"]).current_dir(folder);
    // A configuration file has to be the first argument.
    let file = arguments.iter().take_while(|argument| argument.ends_with(".conf")).count();
    let (file, arguments) = arguments.split_at(file.min(1));
    command.args(file).args(["--bind", "127.0.0.1"]);
    command.args(["--port", &port.to_string(), "--dir"]).arg(folder).arg("--pidfile");
    command.arg(folder.join("redis.pid")).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server can be started: tests/setup.sh installs it")
}
