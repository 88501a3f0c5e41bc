//! Measures the sizes in `docs/databases.md`: each is at most the documented value and at least a
//! third of it.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, doc};

use super::pages::page;
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, Servers, all, mongod, spawn_app};

/// Reads the documented sizes, in bytes.
fn documented() -> BTreeMap<String, f64> {
    let text = page("docs/databases.md").text;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows = rows.filter_map(|(what, size)| {
        let size: f64 = size.strip_suffix(" KB |")?.parse().ok()?;
        Some((what.to_owned(), size * 1024.0))
    });
    let found: BTreeMap<_, _> = rows.collect();
    assert_eq!(found.len(), 9, "{found:?}");
    found
}

fn assert_documented(what: &str, bytes: f64) {
    println!("{what}: {:.2} KB", bytes / 1024.0);
    let message = documented()[what];
    assert!(
        (message / 3.0..=message).contains(&bytes),
        "{what}: {bytes} bytes, and the page says {message}"
    );
}

const SESSIONS: usize = 800;
const AT_ONCE: usize = 32;

/// Starts `SESSIONS` sessions, refreshes each once, and returns the new access tokens.
async fn fill(app: &App) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..SESSIONS / AT_ONCE {
        let logins = all((0..AT_ONCE).map(|_| app.login_with(&[]))).await;
        let refreshes = all(logins.iter().map(|login| app.refresh(&login.refresh_token()))).await;
        tokens.extend(refreshes.iter().map(crate::helpers::TestResponse::access_token));
    }
    tokens
}

fn number(document: &Document, name: &str) -> f64 {
    match document.get(name) {
        Some(Bson::Int32(number)) => f64::from(*number),
        Some(Bson::Int64(number)) => *number as f64,
        Some(Bson::Double(number)) => *number,
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_session_sizes_match_the_documented_sizes() {
    let target = mongod::replica_set().await;
    let app = AppBuilder::default().mongodb(&target).spawn().await;
    fill(&app).await;
    let database = target.database().await;
    let admin = database.client().database("admin");
    // Data that is only in memory has no size on disk yet.
    admin.run_command(doc! { "fsync": 1 }).await.unwrap();
    let sizes = database.run_command(doc! { "collStats": "sentinel_sessions" }).await.unwrap();
    assert!(number(&sizes, "count") >= SESSIONS as f64, "{sizes}");
    assert_documented("a session in MongoDB, in memory", number(&sizes, "avgObjSize"));
    let indexes = number(&sizes, "totalIndexSize") / number(&sizes, "count");
    assert_documented("its part of the indexes", indexes);
    // Every checkpoint between the writes leaves free blocks in the file, which are used again.
    let used = number(&sizes, "storageSize") - number(&sizes, "freeStorageSize");
    let disk = used / number(&sizes, "count");
    assert_documented("its document on disk, compressed", disk);

    let namespace = format!("{}.sentinel_sessions", target.dbname);
    for (operation, what) in [("i", "a login in the oplog"), ("u", "a refresh in the oplog")] {
        let group = doc! { "_id": null, "size": { "$avg": { "$bsonSize": "$$ROOT" } } };
        let steps = vec![
            doc! { "$match": { "ns": &namespace, "op": operation } },
            doc! { "$group": group },
        ];
        let oplog = database.client().database("local").collection::<Document>("oplog.rs");
        let mut found = oplog.aggregate(steps).await.unwrap();
        assert!(found.advance().await.unwrap(), "{what}");
        assert_documented(what, number(&found.deserialize_current().unwrap(), "size"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_session_size_matches_the_documented_size() {
    let app = spawn_app().await;
    let backup = app.folder.path().join("backup");
    let size = async || {
        let _ = std::fs::remove_file(&backup);
        app.run(&["store", "backup", backup.to_str().unwrap()]).await;
        std::fs::metadata(&backup).unwrap().len() as f64
    };
    let before = size().await;
    fill(&app).await;
    let bytes = (size().await - before) / SESSIONS as f64;
    assert_documented("a session in the file of the embedded store", bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_entry_sizes_match_the_documented_sizes() {
    let (target, redis) = (mongod::replica_set().await, Redis::start());
    let app = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    app.login_as("alice", "wrong", &[]).await.assert_error(400, "invalid_grant");
    let memory = async || {
        let message: String = redis.ask(&["INFO", "memory"]).await;
        let line = message.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.trim().parse::<f64>().unwrap()
    };
    let before = memory().await;
    let tokens = fill(&app).await;
    let published = memory().await;
    let each = (published - before) / (SESSIONS * 2) as f64;
    assert_documented("a published access token, with its part of the list", each);
    for some in tokens.chunks(AT_ONCE) {
        let answers = all(some.iter().map(|token| app.introspect(token))).await;
        assert!(answers.iter().all(|answer| answer.json()["active"] == true));
    }
    let cached = (memory().await - published) / SESSIONS as f64;
    assert_documented("a session in the cache, for a minute after it was introspected", cached);

    let failed = "an address or a name with failures, for the window";
    for (kind, what) in [("name", failed), ("address", failed)] {
        let prefix = format!("sentinel:throttle:{kind}:");
        let key = redis.keys().await.into_keys().find(|key| key.starts_with(&prefix)).unwrap();
        let bytes: f64 = redis.ask(&["MEMORY", "USAGE", &key]).await;
        // Adds the expiry time of the key and its entries in two hash tables.
        assert_documented(what, bytes + 64.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_connection_count_matches_the_documented_count() {
    let (target, redis) = (mongod::replica_set().await, Redis::start());
    let mut settings = target.overrides();
    settings.push(("redis.url".to_owned(), redis.url.clone()));
    // The server has one I/O thread.
    let servers = Servers::start(1, &settings).await;
    // Opens the connection first: parallel requests without one would each open their own.
    assert_eq!(servers.peers[0].login().await.status, 200);
    for _ in 0..4 {
        all((0..AT_ONCE).map(|_| servers.peers[0].login())).await;
    }
    let clients: String = redis.ask(&["CLIENT", "LIST"]).await;
    // The connection that runs CLIENT LIST belongs to the test.
    let ours = clients.lines().filter(|line| !line.contains("cmd=client")).count();
    assert!((1..=2).contains(&ours), "{clients}");
}
