//! A fresh, empty store of each kind.

use std::any::Any;

use sentinel::store::Stores;
use sentinel::store::mongo::MongoStore;
use sentinel::store::sqlite::SqliteStore;

use crate::helpers::mongod::{self, Target};

/// A store of its own, removed when this is dropped.
pub(crate) struct Backend {
    /// As one process sees it.
    pub(crate) stores: Stores,
    /// As another process sees it.
    pub(crate) other: Stores,
    /// How often what is left to chance is tried.
    pub(crate) rounds: u32,
    _keep: Box<dyn Any + Send + Sync>,
}

/// One SQLite file.
pub(crate) async fn embedded() -> Backend {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(&folder.path().join("sentinel.db")).unwrap().into_stores();
    Backend { stores: open(), other: open(), rounds: 200, _keep: Box::new(folder) }
}

/// A database on a replica set.
pub(crate) async fn mongodb() -> Backend {
    on_mongodb(mongod::replica_set().await).await
}

/// A database on a single server, which has no majority to wait for.
pub(crate) async fn mongodb_standalone() -> Backend {
    on_mongodb(mongod::standalone().await).await
}

async fn on_mongodb(target: Target) -> Backend {
    let open = async || MongoStore::open(&target.settings().mongo).await.unwrap().into_stores();
    // Each call takes a round trip.
    Backend { stores: open().await, other: open().await, rounds: 40, _keep: Box::new(()) }
}
