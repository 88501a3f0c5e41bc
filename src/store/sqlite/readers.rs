//! Read connections: one per thread, opened when the thread first needs it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use thread_local::ThreadLocal;

use super::file::LOST;
use super::{READ_PATIENCE, connect, failed};
use crate::store::{Result, StoreError};

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
    /// A mutex and not a cell, so that [`Self::close`] can close the connections of all threads.
    connections: ThreadLocal<Mutex<Option<Connection>>>,
    /// Held for reading while a scan uses a connection of its own.
    scans: RwLock<()>,
    is_closed: AtomicBool,
    /// Whether the file is not the one that was opened ([`super::file::FileWatch`]).
    is_lost: Arc<AtomicBool>,
}

impl Readers {
    pub(super) fn new(path: &Path, is_lost: Arc<AtomicBool>) -> Self {
        Self {
            path: path.to_owned(),
            connections: ThreadLocal::new(),
            scans: RwLock::new(()),
            is_closed: AtomicBool::new(false),
            is_lost,
        }
    }

    /// Runs `read` on the read connection of the calling thread, and returns its result. `read`
    /// must be short, since it blocks an I/O thread.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.check_open()?;
        let connection =
            self.connections.get_or_try(|| self.open().map(|open| Mutex::new(Some(open))))?;
        // Only `close` waits for this lock.
        let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        read(connection.as_ref().ok_or_else(closed)?)
    }

    /// Runs `read` on a connection of its own, which is closed afterwards. Blocks the thread.
    pub(super) fn scan<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let _scan = self.scans.read().unwrap_or_else(PoisonError::into_inner);
        self.check_open()?;
        read(&self.open()?)
    }

    fn check_open(&self) -> Result<()> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable(LOST));
        }
        if self.is_closed.load(Ordering::Relaxed) { Err(closed()) } else { Ok(()) }
    }

    /// Closes all connections, after the reads in progress. Later reads fail. Blocks the thread.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        for connection in &self.connections {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(connection) = connection
                && self.is_lost.load(Ordering::Relaxed)
            {
                leave_log(&connection);
            }
        }
        drop(self.scans.write().unwrap_or_else(PoisonError::into_inner));
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

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("the store is closed")
}

/// Prevents SQLite from copying the write-ahead log to the file when this connection is closed,
/// since the file is another one.
pub(super) fn leave_log(connection: &Connection) {
    let result = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    if let Err(error) = result {
        tracing::warn!(%error, "the write-ahead log may be copied to a file that replaced the store");
    }
}
