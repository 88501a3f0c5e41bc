//! The tables, and how a file comes to have them.
//!
//! `user_version` counts the migrations that a file has seen. Each runs once, in a transaction of
//! its own with the count. A file of a later version is refused: what it means is not known here.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{failed, unusable};
use crate::store::{Result, StoreError};

/// "SNTL": tells our files from other SQLite files.
const APPLICATION_ID: i64 = 0x534e_544c;

/// How often, 10 ms apart.
const WAL_ATTEMPTS: u32 = 100;

/// Migration *n* leads from version *n* to *n + 1*. Never change one that was released.
const MIGRATIONS: [&str; 5] = [
    // Clients are found by their text: without a rowid that is one tree descent instead of two.
    "CREATE TABLE users (
        id BLOB NOT NULL PRIMARY KEY,
        username TEXT NOT NULL UNIQUE,
        password_hash TEXT NOT NULL,
        password_imported INTEGER NOT NULL,
        scopes TEXT,
        enabled INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        version INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE clients (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        secret_digest BLOB,
        grants TEXT NOT NULL,
        scopes TEXT NOT NULL,
        default_scopes TEXT NOT NULL,
        access_token_ttl_ms INTEGER,
        refresh_idle_ttl_ms INTEGER,
        session_ttl_ms INTEGER,
        introspection INTEGER NOT NULL,
        enabled INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        version INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;",
    // A session's key is the first eight bytes of its id: as a rowid it makes a tree of a quarter of
    // the pages that a look-up in millions of rows reads otherwise, since rows are in the leaves only.
    // `expires_at` is when the last of its tokens is over. Version 1 had another such table; it was never
    // released, and its sessions are not carried over.
    "DROP TABLE IF EXISTS sessions;
    CREATE TABLE sessions (
        key INTEGER NOT NULL PRIMARY KEY,
        id BLOB NOT NULL,
        version INTEGER NOT NULL,
        user_id BLOB,
        username TEXT,
        user_generation INTEGER,
        client_id TEXT NOT NULL,
        client_generation INTEGER NOT NULL,
        scope TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        ends_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        tokens BLOB NOT NULL
    ) STRICT;
    CREATE INDEX sessions_by_user ON sessions (user_id) WHERE user_id IS NOT NULL;
    CREATE INDEX sessions_by_client ON sessions (client_id);
    CREATE INDEX sessions_by_expiry ON sessions (expires_at);",
    // See `super::losses`. A number is never used again.
    "CREATE TABLE losses (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        session BLOB UNIQUE,
        client TEXT UNIQUE
    ) STRICT;",
    // See `super::imports`.
    "CREATE TABLE imported (key TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE aliases (
        access BLOB NOT NULL PRIMARY KEY,
        session BLOB NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX aliases_by_expiry ON aliases (expires_at);",
    // Without a rowid, the index has the id too.
    "CREATE INDEX clients_by_name ON clients (name);",
];

/// Brings an opened file up to date.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
    // One look: another process may be making the tables at this moment.
    let snapshot = connection.transaction().map_err(|error| unusable(path, &error))?;
    recognise(&snapshot, path)?;
    drop(snapshot);
    let unusable = |error: rusqlite::Error| unusable(path, &error);
    // WAL: readers wait for no writer. FULL: a commit is on disk when it returns, so a token that
    // was answered outlives a power cut.
    switch_to_wal(connection).map_err(unusable)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(unusable)?;
    // On macOS only this reaches the disk; elsewhere it changes nothing.
    connection.pragma_update(None, "fullfsync", true).map_err(unusable)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20).map_err(unusable)?;
    while migrate_once(connection, path)? {}
    Ok(())
}

/// SQLite does not wait for others to let go of the file here, since they might be waiting for it.
/// Whoever starts on a fresh file at the same moment is through in a few milliseconds.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..WAL_ATTEMPTS {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            done => return done,
        }
    }
    connection.pragma_update(None, "journal_mode", "WAL")
}

/// Refuses what is not a Sentinel file, and what a later Sentinel wrote.
pub(super) fn recognise(connection: &Connection, path: &Path) -> Result<()> {
    let integer = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let unusable = |error: rusqlite::Error| unusable(path, &error);
    let application = integer("PRAGMA application_id").map_err(unusable)?;
    let tables = integer("SELECT count(*) FROM sqlite_schema").map_err(unusable)?;
    if application != APPLICATION_ID && (application != 0 || tables > 0) {
        return Err(StoreError::Unusable(format!(
            "{} is a SQLite file, but not one of Sentinel's",
            path.display()
        )));
    }
    let version = version_of(connection).map_err(unusable)?;
    if version > MIGRATIONS.len() {
        return Err(StoreError::Unusable(format!(
            "{} has schema version {version}, written by a newer Sentinel; this one knows up to {}",
            path.display(),
            MIGRATIONS.len()
        )));
    }
    Ok(())
}

fn version_of(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Runs the next migration; `false` when there is none. The version is read under the write lock,
/// since another process may be starting on the same file.
fn migrate_once(connection: &mut Connection, path: &Path) -> Result<bool> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| unusable(path, &error))?;
    let version = version_of(&transaction).map_err(failed)?;
    let Some(migration) = MIGRATIONS.get(version) else {
        return Ok(false);
    };
    transaction.execute_batch(migration).map_err(|error| unusable(path, &error))?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.pragma_update(None, "user_version", to_version(version + 1)).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(true)
}

fn to_version(version: usize) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}
