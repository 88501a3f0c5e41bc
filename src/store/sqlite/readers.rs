//! Read connections: one per thread, opened when the thread first needs it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use thread_local::ThreadLocal;

use super::{READ_PATIENCE, connect, failed};
use crate::store::Result;

/// Size of the page cache of a read connection, in KiB. The cache holds the inner pages of the tree
/// of five million sessions, so that a look-up reads one page of the file.
const CACHE_KIB: i64 = 8192;

/// Requested size of the memory map of the store file, in bytes. Mapped pages are read without a
/// system call and without a copy. SQLite limits the size to two gigabytes. See
/// docs/adr/0013-mapped-reads.md.
const MAPPED_BYTES: i64 = 1 << 40;

/// Read connections to the SQLite file, one for each thread.
pub(super) struct Readers {
    path: PathBuf,
    connections: ThreadLocal<RefCell<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), connections: ThreadLocal::new() }
    }

    /// Runs `read` on the read connection of the calling thread, and returns its result. `read`
    /// must be short, since it blocks an I/O thread.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.connections.get_or_try(|| self.open().map(RefCell::new))?;
        read(&connection.borrow())
    }

    /// Opens a new connection to the SQLite file that can only read.
    pub(super) fn open(&self) -> Result<Connection> {
        let connection = connect(&self.path).map_err(failed)?;
        connection.busy_timeout(READ_PATIENCE).map_err(failed)?;
        connection.pragma_update(None, "query_only", true).map_err(failed)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(failed)?;
        // This pragma returns the size that SQLite grants.
        connection
            .pragma_update_and_check(None, "mmap_size", MAPPED_BYTES, |_| Ok(()))
            .map_err(failed)?;
        Ok(connection)
    }
}
