//! Roles, users and settings of `docs/databases.md`, on servers that require authentication.

use std::path::Path;
use std::process::Command;

use deadpool_redis::redis::{RedisError, Value};
use mongodb::bson::doc;
use mongodb::{Client, Database};

use super::pages::page;
use crate::helpers::authority::Authority;
use crate::helpers::mongod::{self, Mongod};
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, Servers, command, free_port, installed};

const PAGE: &str = "docs/databases.md";

fn block(language: &str, number: usize) -> String {
    let blocks = page(PAGE).blocks();
    let mut of_it = blocks.into_iter().filter(|block| block.language == language);
    of_it.nth(number).unwrap().text
}

async fn database(uri: &str, name: &str) -> Database {
    Client::with_uri_str(uri).await.unwrap().database(name)
}

/// Runs the script of the page as the administrator that it names.
async fn run_script(mongod: &Mongod, folder: &Path) {
    let admin = database(&mongod.uri, "admin").await;
    let root = doc! { "createUser": "root", "pwd": "root", "roles": ["root"] };
    admin.run_command(root).await.unwrap();
    let script = block("js", 0);
    assert!(script.contains("passwordPrompt()"), "{script}");
    let script = script.replace("passwordPrompt()", "\"s3cret\"");
    let root = ["-u", "root", "-p", "root", "--authenticationDatabase", "admin"];
    mongosh(mongod, folder, &script, &root).await;
}

/// Runs a script in mongosh.
async fn mongosh(mongod: &Mongod, folder: &Path, script: &str, arguments: &[&str]) {
    let file = folder.join("script.js");
    std::fs::write(&file, script).unwrap();
    let mut mongosh: Command = command(installed(".cache/mongosh", "node_modules/.bin/mongosh"));
    mongosh.args(["--quiet", "--norc", "--port", &mongod.port.to_string()]).args(arguments);
    mongosh.arg("--file").arg(&file);
    let output = tokio::process::Command::from(mongosh).env("HOME", folder).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_script_ends_chained_replication() {
    let mongod = Mongod::start(&["--replSet", "rs0"]);
    mongod::prepare(&mongod.uri).await;
    let folder = tempfile::tempdir().unwrap();
    mongosh(&mongod, folder.path(), &block("js", 1), &[]).await;
    let config = mongod.admin().await.run_command(doc! { "replSetGetConfig": 1 }).await.unwrap();
    let settings = config.get_document("config").unwrap().get_document("settings").unwrap();
    assert!(!settings.get_bool("chainingAllowed").unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_mongodb_role_is_sufficient_and_minimal() {
    let mongod = Mongod::start(&["--auth"]);
    let folder = tempfile::tempdir().unwrap();
    run_script(&mongod, folder.path()).await;
    let redis = Redis::start();
    let settings = [
        ("store.backend", "mongodb"),
        ("mongo.uri", &mongod.uri),
        ("mongo.dbname", "oauth"),
        ("mongo.username", "sentinel"),
        ("mongo.password", "s3cret"),
        ("mongo.auth_source", "oauth"),
        // With Redis, MongoDB also stores the outbox of invalidations.
        ("redis.url", &redis.url),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    run_all_operations(&Servers::start(1, &settings).await).await;
    assert_eq!(denied(&mongod).await, 0);

    let uri = format!("mongodb://sentinel:s3cret@127.0.0.1:{}/?authSource=oauth", mongod.port);
    for (name, forbidden) in [
        ("oauth", doc! { "find": "users" }),
        ("oauth", doc! { "insert": "others", "documents": [{}] }),
        ("oauth", doc! { "drop": "sentinel_users" }),
        ("oauth", doc! { "dropDatabase": 1 }),
        ("oauth", doc! { "usersInfo": 1 }),
        ("other", doc! { "insert": "sentinel_users", "documents": [{}] }),
        ("admin", doc! { "find": "system.users" }),
    ] {
        let refused = database(&uri, name).await.run_command(forbidden.clone()).await.unwrap_err();
        assert!(refused.to_string().contains("not authorized"), "{forbidden}: {refused}");
    }
    assert!(denied(&mongod).await > 0, "the log does not show commands that were refused");
}

/// Counts the commands that MongoDB refused for lack of rights.
async fn denied(mongod: &Mongod) -> i32 {
    let uri = format!("mongodb://root:root@127.0.0.1:{}", mongod.port);
    let log = doc! { "getLog": "global" };
    let log = database(&uri, "admin").await.run_command(log).await.unwrap();
    let lines = log.get_array("log").unwrap().iter();
    let denied = lines.filter(|line| line.to_string().contains("not authorized on oauth"));
    i32::try_from(denied.count()).unwrap()
}

/// Performs the store operations of servers and commands.
async fn run_all_operations(servers: &Servers) {
    let peer = &servers.peers[0];
    let login = peer.login().await;
    let next = peer.refresh(&login.refresh_token()).await;
    assert!(peer.is_active(&next.access_token()).await);
    assert_eq!(peer.revoke(&next.access_token()).await.status, 200);
    assert_eq!(peer.ready().await.status, 200);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("users.csv"), "username,password\nbob,correct horse\n").unwrap();
    for command in [
        &["user", "import", &path("users.csv")][..],
        &["user", "list"],
        &["user", "edit", "bob", "--rename", "rob"],
        &["user", "delete", "rob"],
        &["client", "list"],
        &["session", "list"],
        &["user", "export", &path("users.jsonl")],
        &["client", "export", &path("clients.jsonl")],
        &["store", "copy", "--to", &path("copy.db")],
        &["user", "disable", "alice"],
        &["session", "end", "--user", "alice"],
    ] {
        servers.run(command).await;
    }
    assert!(!peer.is_active(&login.access_token()).await);
}

/// Starts a Redis server with the `redis.conf` of the page, and returns it with its TLS URL.
pub fn redis(authority: &Authority, folder: &Path) -> (Redis, String) {
    let port = free_port();
    let conf = block("conf", 0)
        .replace("/etc/redis/server.pem", &authority.path("server.pem"))
        .replace("/etc/redis/server.key", &authority.path("server.key"))
        .replace("/etc/redis/ca.pem", &authority.path("ca.pem"))
        .replace("tls-port 6379", &format!("tls-port {port}"))
        // The test itself connects to the plain port, as the administrator.
        .replace("port 0\n", "\n");
    let file = folder.join("redis.conf");
    std::fs::write(&file, conf).unwrap();
    (Redis::start_from(&file, "admin:ADMIN-PASSWORD"), format!("rediss://127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_redis_users_have_sufficient_and_minimal_rights() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (redis, url) = redis(&authority, folder.path());
    let target = crate::helpers::mongod::replica_set().await;
    let url = url.replace("://", "://sentinel:SENTINEL-PASSWORD@");
    let app = AppBuilder::default()
        .mongodb(&target)
        .set("redis.url", &url)
        .set("redis.tls_ca", &authority.path("ca.pem"))
        .spawn()
        .await;
    let login = run_redis_operations(&app).await;
    let denied: Vec<Value> = redis.ask(&["ACL", "LOG"]).await;
    assert!(denied.is_empty(), "{denied:?}");

    let token = login.access_token();
    let reader = redis.url.replace("admin:ADMIN-PASSWORD", "resource-server:READER-PASSWORD");
    assert_eq!(ask(&reader, &["GET", &token]).await.unwrap(), Some(app.user.id.to_string()));
    let session = redis.keys().await.into_keys().find(|key| key.starts_with("sentinel:published"));
    for forbidden in [
        &["KEYS", "*"][..],
        &["SCAN", "0"],
        &["SET", "sna_mine", "me"],
        &["DEL", &token],
        &["GET", "other"],
        &["ZRANGE", &session.unwrap(), "0", "-1"],
        &["INFO"],
    ] {
        let refused = ask(&reader, forbidden).await.unwrap_err();
        assert_eq!(refused.code(), Some("NOPERM"), "{forbidden:?}: {refused}");
    }
    let denied: Vec<Value> = redis.ask(&["ACL", "LOG"]).await;
    assert!(!denied.is_empty(), "the log does not show commands that were refused");
    let nobody = redis.url.replace("admin:ADMIN-PASSWORD@", "");
    assert!(ask(&nobody, &["GET", &token]).await.is_err());
    let sentinel = redis.url.replace("admin:ADMIN-PASSWORD", "sentinel:SENTINEL-PASSWORD");
    for forbidden in [&["KEYS", "*"][..], &["FLUSHALL"], &["CONFIG", "GET", "*"], &["ACL", "LIST"]]
    {
        let refused = ask(&sentinel, forbidden).await.unwrap_err();
        assert_eq!(refused.code(), Some("NOPERM"), "{forbidden:?}: {refused}");
    }
    let kept: Vec<String> = redis.ask(&["CONFIG", "GET", "maxmemory-policy"]).await;
    assert_eq!(kept, ["maxmemory-policy", "noeviction"]);
}

async fn ask(url: &str, words: &[&str]) -> Result<Option<String>, RedisError> {
    use deadpool_redis::redis::{Client, cmd};
    let client = Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query_async(&mut connection).await
}

/// Performs the Redis operations of a server, and returns a login whose session is still active.
async fn run_redis_operations(app: &App) -> crate::helpers::TestResponse {
    for _ in 0..3 {
        app.login_as("alice", "wrong", &[]).await.assert_error(400, "invalid_grant");
    }
    let login = app.login().await;
    for _ in 0..3 {
        assert!(app.is_active(&login.access_token()).await);
    }
    let next = app.refresh(&login.refresh_token()).await;
    assert_eq!(app.revoke(&next.refresh_token()).await.status, 200);
    assert!(!app.is_active(&next.access_token()).await);
    app.login().await
}

#[test]
fn redis_commands_are_the_same_on_both_pages() {
    let settings = page("docs/settings.md").text;
    let listed = settings.split("the commands `").nth(1).unwrap().split('`').next().unwrap();
    let listed: Vec<_> = listed.split_whitespace().collect();
    let conf = block("conf", 0);
    let user = conf.lines().find(|line| line.starts_with("user sentinel ")).unwrap();
    let allowed: Vec<_> = user.split(' ').filter_map(|word| word.strip_prefix('+')).collect();
    assert_eq!(listed, allowed);
}
