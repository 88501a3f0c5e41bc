//! A fresh, empty store of each kind.

use std::any::Any;

use sentinel::settings::{Settings, Sources};
use sentinel::store::Stores;
use sentinel::store::connect::connect;
use sentinel::store::mongo::MongoStore;
use sentinel::store::sqlite::SqliteStore;

use crate::helpers::START;
use crate::helpers::mongod::{self, Target};
use crate::helpers::redis;

/// A store of its own, removed when this is dropped.
pub(crate) struct Backend {
    /// As one process sees it.
    pub(crate) stores: Stores,
    /// As another process sees it.
    pub(crate) other: Stores,
    /// How often what is left to chance is tried.
    pub(crate) rounds: u32,
    /// Whether a login is one write, so that no session is seen that was not added.
    pub(crate) logins_are_one_write: bool,
    /// The earliest moment at which a session may be over, in milliseconds: the server removes by its
    /// own clock what is over.
    pub(crate) earliest: i64,
    _keep: Box<dyn Any + Send + Sync>,
}

/// One SQLite file.
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

/// A database on a replica set.
pub(crate) async fn mongodb() -> Backend {
    on_mongodb(mongod::replica_set().await).await
}

/// A database on a single server, which has no majority to wait for.
pub(crate) async fn mongodb_standalone() -> Backend {
    on_mongodb(mongod::standalone().await).await
}

/// One SQLite file, with published tokens.
pub(crate) async fn embedded_with_redis() -> Backend {
    let (folder, (url, redis)) = (tempfile::tempdir().unwrap(), redis::shared());
    let path = folder.path().join("sentinel.db");
    let settings = settings(&[("store.path", path.to_str().unwrap()), ("redis.url", &url)]);
    Backend {
        stores: connect(&settings).await.unwrap(),
        other: connect(&settings).await.unwrap(),
        rounds: 100,
        logins_are_one_write: true,
        earliest: 0,
        _keep: Box::new((folder, redis)),
    }
}

/// A database on a replica set, behind a cache and with published tokens.
pub(crate) async fn mongodb_with_redis() -> Backend {
    let (target, (url, redis)) = (mongod::replica_set().await, redis::shared());
    let mut overrides = target.overrides();
    overrides.push(("redis.url".to_owned(), url));
    let settings = Settings::load(&Sources { overrides, ..Sources::default() }).unwrap();
    Backend {
        stores: connect(&settings).await.unwrap(),
        other: connect(&settings).await.unwrap(),
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

async fn on_mongodb(target: Target) -> Backend {
    let open = async || MongoStore::open(&target.settings().mongo).await.unwrap().into_stores();
    Backend {
        stores: open().await,
        other: open().await,
        // Each call takes a round trip.
        rounds: 40,
        logins_are_one_write: false,
        earliest: START.as_millis(),
        _keep: Box::new(()),
    }
}
