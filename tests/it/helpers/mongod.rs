//! Real MongoDB servers: those that `tests/run.sh` started for all tests, or else one that this
//! process starts and that ends with it.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use sentinel::settings::{Settings, Sources};
use tokio::sync::OnceCell;

use super::{free_port, signal};

/// Separate database on a MongoDB server.
#[derive(Clone)]
pub struct TestDatabase {
    pub uri: String,
    pub dbname: String,
}

impl TestDatabase {
    /// Chooses a new, random database name.
    pub fn on(uri: &str) -> Self {
        let random: [u8; 8] = rand::random();
        Self { uri: uri.to_owned(), dbname: format!("test_{}", hex::encode(random)) }
    }

    pub fn overrides(&self) -> Vec<(String, String)> {
        [("store.backend", "mongodb"), ("mongo.uri", &self.uri), ("mongo.dbname", &self.dbname)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    pub fn settings(&self) -> Settings {
        let sources = Sources { overrides: self.overrides(), ..Sources::default() };
        Settings::load(&sources).unwrap()
    }

    /// Connects to the database directly, bypassing the store.
    pub async fn database(&self) -> mongodb::Database {
        Client::with_uri_str(&self.uri).await.unwrap().database(&self.dbname)
    }
}

/// New database on a replica set with one member.
pub async fn replica_set() -> TestDatabase {
    static OWN: OnceCell<Mongod> = OnceCell::const_new();
    TestDatabase::on(&shared("MONGODB_TEST_URI", &OWN, &["--replSet", "rs0"]).await)
}

/// New database on a standalone server.
pub async fn standalone() -> TestDatabase {
    static OWN: OnceCell<Mongod> = OnceCell::const_new();
    TestDatabase::on(&shared("MONGODB_TEST_STANDALONE_URI", &OWN, &[]).await)
}

async fn shared(variable: &str, own: &OnceCell<Mongod>, arguments: &[&str]) -> String {
    let uri = match std::env::var(variable) {
        Ok(uri) => uri,
        Err(_) => own.get_or_init(async || Mongod::start(arguments)).await.uri.clone(),
    };
    prepare(&uri).await;
    uri
}

/// Initiates the replica set of a server that needs it, and waits for the primary.
pub async fn prepare(uri: &str) {
    let direct =
        if uri.contains('?') { "&directConnection=true" } else { "/?directConnection=true" };
    let several = uri.contains(',');
    let client = if several { uri.to_owned() } else { format!("{uri}{direct}") };
    let client = Client::with_uri_str(client).await.unwrap();
    let admin = client.database("admin");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let hello: Document = admin.run_command(doc! { "hello": 1 }).await.unwrap();
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return;
        }
        if hello.get_bool("isreplicaset").unwrap_or(false) {
            let host = uri.trim_start_matches("mongodb://").split(['/', '?']).next().unwrap();
            let host = host.rsplit('@').next().unwrap();
            let set = doc! { "_id": "rs0", "members": [{ "_id": 0, "host": host }] };
            // Another test may initiate it at the same time.
            let _ = admin.run_command(doc! { "replSetInitiate": set }).await;
        }
        assert!(Instant::now() < deadline, "{uri} has no primary: {hello}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// MongoDB server that ends when this value is dropped, or with this process, even if it crashes.
pub struct Mongod {
    pub uri: String,
    pub port: u16,
    folder: PathBuf,
    watcher: Child,
}

impl Mongod {
    /// Starts a server on a free port, in a new folder.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_port(), arguments)
    }

    /// Starts an empty server on this port.
    pub fn start_at(port: u16, arguments: &[&str]) -> Self {
        let folder =
            tempfile::Builder::new().prefix("mongod-").tempdir_in(memory()).unwrap().keep();
        let watcher = run(port, &folder, arguments);
        Self { uri: format!("mongodb://127.0.0.1:{port}"), port, folder, watcher }
    }

    /// Kills the server and keeps its data.
    pub fn kill(&mut self) {
        self.end("keep");
    }

    /// Starts the server again, after [`Self::kill`].
    pub fn restart(&mut self, arguments: &[&str]) {
        self.watcher = run(self.port, &self.folder, arguments);
    }

    /// Suspends the server (SIGSTOP); its connections stay open.
    pub fn suspend(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Connects to the `admin` database of this member alone, bypassing the store.
    pub async fn admin(&self) -> mongodb::Database {
        let uri = format!("{}/?directConnection=true", self.uri);
        Client::with_uri_str(uri).await.unwrap().database("admin")
    }

    fn signal(&self, name: &str) {
        let id = fs::read_to_string(format!("{}.pid", self.folder.display())).unwrap();
        signal(id.trim(), name);
    }

    /// Kills the server. Its data is removed unless `data` is `keep`.
    fn end(&mut self, data: &str) {
        if let Some(mut stdin) = self.watcher.stdin.take() {
            let _ = writeln!(stdin, "{data}");
        }
        let _ = self.watcher.wait();
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        self.end("remove");
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(format!("{}.pid", self.folder.display()));
    }
}

/// Runs a server under a shell that kills it when its standard input gets a line or ends.
fn run(port: u16, folder: &Path, arguments: &[&str]) -> Child {
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/mongod/fiftyone/db/bin/mongod");
    assert!(program.exists(), "mongod is not installed; run tests/setup.sh");
    // Standard input of the shell closes however this process ends, so no server is left behind.
    let script = r#"
        folder=$1; shift
        "$@" > "$folder/log" 2>&1 < /dev/null &
        echo $! > "$folder.pid"
        read -r word
        kill -KILL $!; wait $!
        [ "$word" = keep ] || rm -rf "$folder" "$folder.pid"
    "#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(folder).arg(program);
    command.args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--oplogSize", "64"]);
    command.args(["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "ttlMonitorSleepSecs=1"]);
    command.args(["--setParameter", "enableTestCommands=1", "--setParameter"]);
    command.arg("diagnosticDataCollectionEnabled=false").arg("--dbpath").arg(folder);
    command.args(["--port", &port.to_string()]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let watcher = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "mongod does not listen: {}", log());
        std::thread::park_timeout(Duration::from_millis(10));
    }
    watcher
}

/// Folder for data files, in memory if possible: tests need no durability on disk.
fn memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}
