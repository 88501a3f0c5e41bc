//! `sentinel store copy`.

mod copied_records;
mod refusals;
mod repeated_runs;

use std::sync::Arc;

use tempfile::TempDir;

use crate::helpers::mongod::{self, TestDatabase};
use crate::helpers::{App, AppBuilder};

/// Destination of a copy: a store that does not exist yet.
enum CopyTarget {
    File(Arc<TempDir>),
    Database(TestDatabase),
}

impl CopyTarget {
    fn file() -> Self {
        Self::File(Arc::new(tempfile::tempdir().unwrap()))
    }

    async fn database() -> Self {
        Self::Database(mongod::replica_set().await)
    }

    /// The value for `--to`.
    fn name(&self) -> String {
        match self {
            Self::File(folder) => folder.path().join("sentinel.db").to_str().unwrap().to_owned(),
            Self::Database(target) => {
                let (servers, options) = target.uri.split_once('?').unwrap_or((&target.uri, ""));
                format!("{}/{}?{options}", servers.trim_end_matches('/'), target.dbname)
            }
        }
    }

    /// Builder for a server on this store.
    fn server(&self) -> AppBuilder {
        match self {
            Self::File(folder) => AppBuilder::default().on(folder),
            Self::Database(target) => AppBuilder::default().mongodb(target),
        }
    }

    /// Copies the store of a server to this one and returns the report.
    async fn copy_of(&self, app: &App, more: &[&str]) -> serde_json::Value {
        let name = self.name();
        let copy = ["store", "copy", "--json", "--to", &name];
        serde_json::from_str(&app.run(&[&copy[..], more].concat()).await).unwrap()
    }
}
