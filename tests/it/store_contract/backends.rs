//! A fresh, empty store of each kind.

use std::any::Any;

use sentinel::store::Stores;
use sentinel::store::sqlite::SqliteStore;

/// A store of its own, removed when this is dropped.
pub(crate) struct Backend {
    /// As one process sees it.
    pub(crate) stores: Stores,
    /// As another process sees it.
    pub(crate) other: Stores,
    _keep: Box<dyn Any + Send + Sync>,
}

/// One SQLite file.
pub(crate) async fn embedded() -> Backend {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(&folder.path().join("sentinel.db")).unwrap().into_stores();
    Backend { stores: open(), other: open(), _keep: Box::new(folder) }
}
