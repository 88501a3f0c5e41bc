//! Constructors of fresh, empty stores, one for each backend.

use std::any::Any;

use sentinel::settings::{Settings, Sources};
use sentinel::store::connect::connect;
use sentinel::store::mongo::MongoStore;
use sentinel::store::sqlite::SqliteStore;
use sentinel::store::{OpenMode, Stores};

use crate::helpers::START;
use crate::helpers::mongod::{self, TestDatabase};
use crate::helpers::redis;

/// Store for one test, removed when this is dropped.
pub(crate) struct Backend {
    /// Handle of one process.
    pub(crate) stores: Stores,
    /// Handle of another process.
    pub(crate) other: Stores,
    /// Number of repetitions of randomized cases.
    pub(crate) rounds: u32,
    /// Whether a login is a single write, so that no session is visible before it is accepted.
    pub(crate) logins_are_one_write: bool,
    /// Earliest expiry of a session, in milliseconds: the server deletes expired sessions by its
    /// own clock.
    pub(crate) earliest: i64,
    _keep: Box<dyn Any + Send + Sync>,
}

/// Creates an SQLite file.
pub(crate) async fn embedded() -> Backend {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(&folder.path().join("sentinel.db")).unwrap().into_stores();
    Backend {
        stores: open(),
        other: open(),
        rounds: 200,
        logins_are_one_write: true,
        earliest: 0,
        _keep: Box::new(folder),
    }
}

/// Creates a database on a replica set.
pub(crate) async fn mongodb() -> Backend {
    on_mongodb(mongod::replica_set().await).await
}

/// Creates a database on a standalone server, which has no majority to wait for.
pub(crate) async fn mongodb_standalone() -> Backend {
    on_mongodb(mongod::standalone().await).await
}

/// Creates an SQLite file, with tokens published to Redis.
pub(crate) async fn embedded_with_redis() -> Backend {
    let (folder, (url, redis)) = (tempfile::tempdir().unwrap(), redis::shared());
    let path = folder.path().join("sentinel.db");
    let settings = settings(&[("store.path", path.to_str().unwrap()), ("redis.url", &url)]);
    Backend {
        stores: connect(&settings, OpenMode::Create).await.unwrap(),
        other: connect(&settings, OpenMode::Create).await.unwrap(),
        rounds: 100,
        logins_are_one_write: true,
        earliest: 0,
        _keep: Box::new((folder, redis)),
    }
}

/// Creates a database on a replica set, with a Redis cache and published tokens.
pub(crate) async fn mongodb_with_redis() -> Backend {
    let (target, (url, redis)) = (mongod::replica_set().await, redis::shared());
    let mut overrides = target.overrides();
    overrides.push(("redis.url".to_owned(), url));
    let settings = Settings::load(&Sources { overrides, ..Sources::default() }).unwrap();
    Backend {
        stores: connect(&settings, OpenMode::Create).await.unwrap(),
        other: connect(&settings, OpenMode::Create).await.unwrap(),
        rounds: 40,
        logins_are_one_write: false,
        earliest: START.as_millis(),
        _keep: Box::new(redis),
    }
}

fn settings(overrides: &[(&str, &str)]) -> Settings {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let overrides = overrides.iter().map(own).collect();
    Settings::load(&Sources { overrides, ..Sources::default() }).unwrap()
}

async fn on_mongodb(target: TestDatabase) -> Backend {
    let open = async || MongoStore::open(&target.settings().mongo).await.unwrap().into_stores();
    Backend {
        stores: open().await,
        other: open().await,
        // Each call takes a network round trip.
        rounds: 40,
        logins_are_one_write: false,
        earliest: START.as_millis(),
        _keep: Box::new(()),
    }
}
