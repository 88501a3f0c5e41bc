//! Embedded store: one SQLite file in WAL mode.
//!
//! One thread does all writes and commits them in batches ([`writer`]). Reads use a connection of
//! the calling thread ([`readers`]), see the last commit, and do not wait for writers: a look-up by
//! primary key takes a few microseconds, less than handing it to another thread would. Other
//! processes, such as the command line, may have the same file open.

mod backup;
mod clients;
mod file;
mod imports;
mod listing;
mod outbox;
mod rate_limit_records;
mod readers;
mod schema;
mod sessions;
mod transfer;
mod users;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row};

use super::prefix::prefix_range_end;
use super::{Health, LastWrite, OpenMode, Result, StoreError, Stores};
pub use backup::{BackupError, Restored, backup, restore};
use file::{FileWatch, unusable};
use readers::Readers;
use writer::Writer;

/// Interval between two attempts to get SQLite's write lock while another process holds the lock.
/// SQLite's own busy timeout makes the intervals longer and longer, and would rarely get the lock
/// beside a server that writes without a pause.
const WRITE_POLL: Duration = Duration::from_millis(2);
/// Maximum number of further attempts to get SQLite's write lock, [`WRITE_POLL`] apart.
const WRITE_POLLS: i32 = 2500;
/// Busy timeout of a read connection: maximum wait for a lock. Readers wait only while the file is
/// opened or recovered, and block an I/O thread meanwhile.
const READ_PATIENCE: Duration = Duration::from_millis(250);

/// Embedded store in one SQLite file. Clones share the writer thread and the read connections.
#[derive(Clone)]
pub struct SqliteStore {
    // Before `writer`, which copies the write-ahead log to the file when it is dropped as the last
    // user of the file.
    readers: Arc<Readers>,
    /// `None` if the store is open for reading only.
    writer: Option<Arc<Writer>>,
    last_write: Arc<LastWrite>,
    records_invalidations: bool,
    name: Arc<str>,
}

impl SqliteStore {
    /// Opens the SQLite file of the store, and creates the file and its folder if they do not
    /// exist.
    ///
    /// # Errors
    /// As [`Self::open_for`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_for(path, OpenMode::Create)
    }

    /// Opens the SQLite file of the store for the given purpose.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] if `path` is no file or is below one. [`StoreError::Open`],
    /// with a sentence for the operator, if the file cannot be opened, is not a Sentinel store, was
    /// written by a newer version, or is a backup beside the write-ahead log of another store.
    /// [`StoreError::Missing`] if there is no file and `mode` does not create one.
    /// [`StoreError::Unavailable`] if the read connection or the writer thread cannot be started.
    pub fn open_for(path: &Path, mode: OpenMode) -> Result<Self> {
        if file::find(path)?.is_none() {
            if mode != OpenMode::Create {
                return Err(missing(path));
            }
            file::create_private(path).map_err(|error| file::refusal(path, &error))?;
        }
        let mut connection = connect(path).map_err(|error| unusable(path, &error))?;
        let last_write = Arc::default();
        let (readers, writer) = if mode == OpenMode::Read {
            connection.busy_timeout(READ_PATIENCE).map_err(|error| unusable(path, &error))?;
            schema::check_readable(&connection, path)?;
            (Readers::new(path, Arc::default()), None)
        } else {
            connection.busy_handler(Some(busy_handler)).map_err(|error| unusable(path, &error))?;
            schema::prepare(&mut connection, path)?;
            let watch = FileWatch::start(path)?;
            let readers = Readers::new(path, watch.lost_flag());
            let writer =
                Writer::start(connection, readers.open()?, watch, Arc::clone(&last_write))?;
            (readers, Some(Arc::new(writer)))
        };
        Ok(Self {
            readers: Arc::new(readers),
            writer,
            last_write,
            records_invalidations: false,
            name: format!("the store {}", path.display()).into(),
        })
    }

    /// Returns the stores of a server, with this SQLite store as the backend of all of them.
    pub fn into_stores(self) -> Stores {
        Stores::of(Arc::new(self))
    }

    /// Runs `work` in a batch (jobs of one commit) of the writer thread. Returns the result of
    /// `work` after the commit is on disk.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writer()?.run(work).await
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer
            .as_deref()
            .ok_or_else(|| StoreError::unavailable("the store is open for reading only"))
    }

    /// Runs one SQL statement in a batch (jobs of one commit) of the writer thread. Returns the
    /// number of rows that the statement changed.
    async fn execute(
        &self,
        sql: impl AsRef<str> + Send + 'static,
        params: impl rusqlite::Params + Send + 'static,
    ) -> Result<usize> {
        self.write(move |connection| connection.prepare_cached(sql.as_ref())?.execute(params)).await
    }

    /// Returns the first row that `sql` finds for `key`, decoded by `read`, or `None` if there is
    /// no row.
    fn find_row<T>(
        &self,
        sql: &str,
        key: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.readers.with(|connection| {
            let mut statement = connection.prepare_cached(sql).map_err(failed)?;
            let mut rows = statement.query(key).map_err(failed)?;
            rows.next().map_err(failed)?.map(read).transpose()
        })
    }

    /// Returns the number that the query `sql` selects.
    fn count_rows(&self, sql: &str, params: impl rusqlite::Params) -> Result<u64> {
        let count = self.find_row(sql, params, |row| counter(row, 0, "count"))?;
        Ok(count.unwrap_or_default())
    }

    /// Returns all rows that `sql` finds, decoded by `read`, for queries that may read whole
    /// tables. Uses a blocking thread and a connection of its own: closing the connection unmaps
    /// the pages that the query has read.
    async fn scan<T: Send + 'static>(
        &self,
        sql: String,
        params: impl rusqlite::Params + Send + 'static,
        read: impl Fn(&Row<'_>) -> Result<T> + Send + 'static,
    ) -> Result<Vec<T>> {
        let readers = Arc::clone(&self.readers);
        let scanned = tokio::task::spawn_blocking(move || {
            readers.scan(|connection| list(connection, &sql, params, read))
        });
        scanned.await.map_err(StoreError::unavailable)?
    }

    /// Returns the number that `sql` finds, as [`Self::scan`] does.
    async fn scan_count(
        &self,
        sql: &str,
        params: impl rusqlite::Params + Send + 'static,
    ) -> Result<u64> {
        let counts = self.scan(sql.to_owned(), params, |row| counter(row, 0, "count")).await?;
        Ok(counts.first().copied().unwrap_or_default())
    }

    /// Returns all rows that `sql` finds, decoded by `read`. Runs the query on the calling thread.
    fn list_rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.readers.with(|connection| list(connection, sql, params, read))
    }
}

fn list<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read(row)?);
    }
    Ok(found)
}

#[async_trait]
impl Health for SqliteStore {
    fn name(&self) -> &str {
        &self.name
    }

    async fn probe(&self) -> Result<()> {
        let started = Instant::now();
        let written = self.write(writer::write_version).await;
        if !matches!(written, Err(StoreError::Busy)) {
            self.last_write.record(started, written.is_ok());
        }
        written
    }

    fn last_write(&self) -> &LastWrite {
        &self.last_write
    }

    /// Closes all connections, after the reads and writes in progress, so that the file alone is
    /// the whole store.
    async fn close(&self) {
        let store = self.clone();
        let closed = tokio::task::spawn_blocking(move || {
            store.readers.close();
            if let Some(writer) = &store.writer {
                writer.close();
            }
        });
        if let Err(error) = closed.await {
            tracing::warn!(%error, "the embedded store was not closed; its write-ahead log remains");
        }
    }
}

/// Checks whether a store can be opened or created at `path`, without creating anything or opening
/// anything for writing.
///
/// # Errors
/// [`StoreError::Configuration`] if `path` is no file or is below one. [`StoreError::Open`] if the
/// file cannot be reached, or is a backup beside the write-ahead log of another store.
pub fn check(path: &Path) -> Result<()> {
    file::find(path)?;
    file::check_access(path)
}

/// Returns the absolute path of the store file if the file does not exist yet.
pub fn missing_file(path: &Path) -> Option<PathBuf> {
    matches!(file::existing_file(path), Ok(None)).then(|| absolute(path))
}

fn missing(path: &Path) -> StoreError {
    StoreError::Missing(absolute(path))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Busy handler of the writer's connection. Waits, and returns whether SQLite tries again to get
/// the lock. `attempts` is the number of earlier attempts.
fn busy_handler(attempts: i32) -> bool {
    std::thread::park_timeout(WRITE_POLL);
    attempts < WRITE_POLLS
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise SQLite prepares a statement again whenever a bound value could allow a better plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::unavailable(error)
}

/// Returns the exclusive end of the key range of all texts that begin with `prefix`. If the range
/// has no end, returns a blob, since SQLite sorts blobs after every text.
fn range_end(prefix: &str) -> Value {
    prefix_range_end(prefix).map_or_else(|| Value::Blob(Vec::new()), Value::Text)
}

/// Converts an unsigned number to a signed integer, the only kind that SQLite has. A number that
/// does not fit becomes the maximum, which no valid record contains.
fn to_integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads column `index` of a row that contains a record of kind `what`.
fn column<T: rusqlite::types::FromSql>(
    row: &Row<'_>,
    index: usize,
    what: &'static str,
) -> Result<T> {
    row.get(index).map_err(|error| StoreError::corrupt(what, error))
}

/// Reads column `index` of a row with a record of kind `what` as a version, generation or count.
fn counter(row: &Row<'_>, index: usize, what: &'static str) -> Result<u64> {
    super::stored_counters::counter(column(row, index, what)?, what)
}

/// Reads column `index` of a row with a record of kind `what` as text, and parses the text.
fn parsed<T>(row: &Row<'_>, index: usize, what: &'static str) -> Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = row.get_ref(index).and_then(|value| Ok(value.as_str()?));
    let text = text.map_err(|error| StoreError::corrupt(what, error))?;
    text.parse().map_err(|error| StoreError::corrupt(what, error))
}
