//! A fresh, empty store of each kind.

use std::any::Any;

use sentinel::store::Stores;
use sentinel::store::mongo::MongoStore;
use sentinel::store::sqlite::SqliteStore;

use crate::helpers::START;
use crate::helpers::mongod::{self, Target};

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
