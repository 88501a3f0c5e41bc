//! Introspection on MongoDB and Redis, with cached sessions.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mongodb::bson::doc;

use crate::Plan;
use crate::baseline::Kind;
use crate::closed_loop;
use crate::logins::token_request;
use crate::lookups::{Introspect, compare, exchange, fetch_body};
use crate::report::{Row, Target};
use crate::server::{PASSWORD, Server, Store, text};

const TOKENS: usize = 1000;

pub fn introspection(plan: Plan) -> Result<Row> {
    let (mongod, redis) = (Database::mongod()?, Database::redis()?);
    let (mongo_port, redis_port) = (mongod.port, redis.port);
    let redis_url = format!("redis://127.0.0.1:{redis_port}");
    // Cheap password hashes, because logins are not measured.
    let store = Store::with_settings(&format!(
        "[store]\nbackend = \"mongodb\"\n[mongo]\nuri = \"mongodb://127.0.0.1:{mongo_port}\"\n\
         [redis]\nurl = \"{redis_url}\"\n[password]\nmemory_kib = 64\niterations = 1\n"
    ))?;
    let server = Server::sentinel(store.folder.path())?;
    let login = token_request(&format!(
        "grant_type=password&client_id={}&username=ada&password={}",
        store.app,
        PASSWORD.replace(' ', "+")
    ));
    let mut tokens = Vec::with_capacity(TOKENS);
    for _ in 0..TOKENS {
        let raw = exchange(&server, login.as_bytes())?;
        let (_, body) = closed_loop::parse(&raw)?.context("no response")?;
        tokens.push(text(&serde_json::from_slice(body)?, "access_token")?);
    }
    let script = || Introspect::of(&store, &tokens);
    let body = format!("{redis_url}\n{}", fetch_body(&server, script())?);
    let baseline = Server::baseline(Kind::RedisGet, &body)?;
    // Redis shares the load's core, so both servers sometimes wait for Redis.
    let plan = Plan { busy: 0.8, ..plan };
    let (ours, theirs) = compare(plan, (&server, script), (&baseline, script))?;
    let what = "introspection on MongoDB and Redis, cached, vs. a bare handler with one GET";
    Ok(Row::speed(what, Target::AtLeast(0.75), &ours, &theirs))
}

/// Database process on the load's core, with its own folder; killed on drop.
struct Database {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Database {
    fn redis() -> Result<Self> {
        let none = ["--save", "", "--appendonly", "no"];
        Self::start(Path::new("redis-server"), |folder, port| {
            let mut arguments = vec!["--bind".into(), "127.0.0.1".into(), "--port".into(), port];
            arguments.extend(["--dir".into(), folder]);
            arguments.extend(none.map(str::to_owned));
            arguments
        })
    }

    fn mongod() -> Result<Self> {
        let program =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/mongod/fiftyone/db/bin/mongod");
        ensure!(program.exists(), "mongod is not installed; run tests/setup.sh");
        let own = ["--bind_ip", "127.0.0.1", "--nounixsocket", "--replSet", "rs0"];
        let small = ["--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"];
        let mongod = Self::start(&program, |folder, port| {
            let mut arguments = vec!["--port".into(), port, "--dbpath".into(), folder];
            arguments.extend(own.into_iter().chain(small).map(str::to_owned));
            arguments
        })?;
        initiate(mongod.port)?;
        Ok(mongod)
    }

    fn start(
        program: &Path,
        arguments: impl FnOnce(String, String) -> Vec<String>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(program);
        command.args(arguments(folder.path().display().to_string(), port.to_string()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("{}", program.display()))?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(begin.elapsed() < Duration::from_secs(20), "the database does not listen");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(Self { child, port, _folder: folder })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Initiates a replica set with one member, and waits until it accepts writes.
fn initiate(port: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        let admin = mongodb::Client::with_uri_str(uri).await?.database("admin");
        let members = [doc! { "_id": 0, "host": format!("127.0.0.1:{port}") }];
        let set = doc! { "_id": "rs0", "members": members };
        admin.run_command(doc! { "replSetInitiate": set }).await?;
        let begin = Instant::now();
        while !admin.run_command(doc! { "hello": 1 }).await?.get_bool("isWritablePrimary")? {
            ensure!(begin.elapsed() < Duration::from_secs(20), "the replica set has no primary");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    })
}
