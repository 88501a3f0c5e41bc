//! From settings to stores: the only file that knows every backend.

use super::mongo::MongoStore;
use super::sqlite::SqliteStore;
use super::{Result, Stores};
use crate::settings::{Backend, Settings};

/// Opens the stores that the settings name.
///
/// # Errors
/// [`super::StoreError`] with a sentence for the operator.
pub async fn connect(settings: &Settings) -> Result<Stores> {
    match settings.store.backend {
        Backend::Embedded => Ok(SqliteStore::open(&settings.store.path)?.into_stores()),
        Backend::Mongodb => Ok(MongoStore::open(&settings.mongo).await?.into_stores()),
    }
}
