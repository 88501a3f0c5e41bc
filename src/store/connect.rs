//! From settings to stores: the only file that knows every backend.

use super::sqlite::SqliteStore;
use super::{Result, StoreError, Stores};
use crate::settings::{Backend, Settings};

/// Opens the stores that the settings name.
///
/// # Errors
/// [`StoreError`] with a sentence for the operator.
pub fn connect(settings: &Settings) -> Result<Stores> {
    match settings.store.backend {
        Backend::Embedded => Ok(SqliteStore::open(&settings.store.path)?.into_stores()),
        Backend::Mongodb => Err(StoreError::Unsupported(
            "store.backend = \"mongodb\" is not in this version yet; \"embedded\" is",
        )),
    }
}
