//! Guarantees of the embedded store beyond the contract: the database file, access by other
//! processes, and group commit.

mod commits;
mod files;

use std::path::PathBuf;

use sentinel::domain::{Client, Lifetimes, NewSession, Scope, Session};
use sentinel::store::Stores;
use sentinel::store::sqlite::SqliteStore;
use tempfile::TempDir;

use crate::helpers::START;
use crate::store_contract::samples;

/// A store in a folder of its own, with a client.
struct Embedded {
    stores: Stores,
    path: PathBuf,
    client: Client,
    _folder: TempDir,
}

impl Embedded {
    async fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentinel.db");
        let stores = open(&path);
        let client = samples::client();
        assert!(stores.clients.insert(&client).await.unwrap());
        Self { stores, path, client, _folder: folder }
    }

    /// A new session, not yet inserted.
    fn session(&self) -> Session {
        let lifetime = std::time::Duration::from_secs(3600);
        let lifetimes = Lifetimes {
            access_token: lifetime,
            refresh_idle: lifetime,
            session: lifetime,
            refresh_grace: lifetime,
        };
        let new = NewSession {
            user: None,
            client_id: self.client.id.clone(),
            client_generation: 0,
            scope: Scope::empty(),
            refreshable: true,
        };
        Session::start(new, &lifetimes, START).unwrap().0
    }

    /// Opens a plain SQLite connection to the same file.
    fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.path).unwrap()
    }
}

fn open(path: &std::path::Path) -> Stores {
    SqliteStore::open(path).unwrap().into_stores()
}
