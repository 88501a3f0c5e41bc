//! Schema of the embedded store, and its migrations.
//!
//! `user_version` is the number of migrations that a file has had. Each migration runs once, in one
//! transaction with the new number. A file with a higher number is rejected, since its schema is
//! unknown.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::failed;
use super::file::unusable;
use crate::domain::username_key;
use crate::store::{Result, StoreError};

/// Value of `application_id` in Sentinel's SQLite files: "SNTL". The value tells Sentinel's files
/// from other SQLite files.
pub(super) const APPLICATION_ID: i64 = 0x534e_544c;

/// Value of `application_id` in backups, until a server or command takes them into use: "SNTB". It
/// marks a file that has no write-ahead log, so that a log beside it belongs to another file.
pub(super) const BACKUP_ID: i64 = 0x534e_5442;

/// Maximum number of repeated attempts to switch a SQLite file to WAL mode, 10 ms apart.
const WAL_ATTEMPTS: u32 = 100;

/// SQL of the schema migrations. Migration *n* upgrades a SQLite file from version *n* to *n + 1*.
/// A released migration must not be changed.
const MIGRATIONS: [&str; 8] = [
    // Clients have a text as key: WITHOUT ROWID makes a look-up one tree descent instead of two.
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
    // `key` is the first eight bytes of the id. Rows of a rowid table are in the leaves only, so a
    // look-up in millions of rows reads a tree with a quarter of the pages. `expires_at` is the
    // expiry of the session's last token. Version 1 had another table of this name; it was never
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
    // See `super::outbox`. AUTOINCREMENT never reuses a number.
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
    // In a table WITHOUT ROWID, the index contains the id too.
    "CREATE INDEX clients_by_name ON clients (name);",
    "ALTER TABLE clients ADD COLUMN introspect_refresh_tokens INTEGER NOT NULL DEFAULT FALSE;",
    // See `super::rate_limit_records`. A client has a digest or a hash of its secret.
    "ALTER TABLE clients ADD COLUMN secret_hash TEXT;
    CREATE TABLE known_devices (
        name BLOB NOT NULL PRIMARY KEY,
        devices BLOB NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX known_devices_by_expiry ON known_devices (expires_at);
    CREATE TABLE spent_budgets (
        kind TEXT NOT NULL,
        digest BLOB NOT NULL,
        guessed TEXT NOT NULL,
        subject TEXT,
        ends_at INTEGER NOT NULL,
        PRIMARY KEY (kind, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX spent_budgets_by_end ON spent_budgets (ends_at);
    CREATE TABLE rate_limit_orders (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        action TEXT NOT NULL,
        kind TEXT,
        digest BLOB,
        made_at INTEGER NOT NULL
    ) STRICT;",
    // `fill_username_keys` computes the keys. They are not unique, since earlier versions accepted
    // several spellings of a name.
    "ALTER TABLE users ADD COLUMN username_key TEXT NOT NULL DEFAULT '';
    CREATE INDEX users_by_key ON users (username_key, username);",
];

/// Migration after which the keys of the existing users' names are computed.
const USERNAME_KEYS: usize = 7;

/// Checks an opened SQLite file, removes the mark of a backup, configures the connection, and runs
/// the missing schema migrations.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
    // One transaction for all checks, since another process may be creating the tables now.
    let snapshot = connection.transaction().map_err(|error| unusable(path, &error))?;
    check_file(&snapshot, path)?;
    drop(snapshot);
    let unusable = |error: rusqlite::Error| unusable(path, &error);
    // FULL: a commit is on disk when it returns, so an issued token survives a power failure.
    connection.pragma_update(None, "synchronous", "FULL").map_err(unusable)?;
    // On macOS, only this makes a commit reach the disk. Elsewhere it changes nothing.
    connection.pragma_update(None, "fullfsync", true).map_err(unusable)?;
    // Before the file has a write-ahead log, so that no file has both the mark and a log.
    remove_backup_mark(connection).map_err(unusable)?;
    // WAL: readers do not wait for writers.
    switch_to_wal(connection).map_err(unusable)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20).map_err(unusable)?;
    // Without a missing migration, opening does not wait for other writers.
    while version_of(connection).map_err(unusable)? < MIGRATIONS.len() {
        migrate_once(connection, path)?;
    }
    Ok(())
}

/// Checks an opened SQLite file for reading only: it must have the current schema.
pub(super) fn check_readable(connection: &Connection, path: &Path) -> Result<()> {
    let version = check_file(connection, path)?;
    if version == MIGRATIONS.len() {
        return Ok(());
    }
    Err(StoreError::Open(format!(
        "{} has schema version {version}, written by an older Sentinel; a command that only reads does \
         not upgrade it to version {}: start the server to do so, after a backup",
        path.display(),
        MIGRATIONS.len()
    )))
}

/// Marks a file as a backup, until a server or command takes it into use.
pub(super) fn mark_as_backup(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", BACKUP_ID)
}

/// Removes the mark of a backup, which is taken into use as a store.
fn remove_backup_mark(connection: &mut Connection) -> rusqlite::Result<()> {
    if application_id(connection)? != BACKUP_ID {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have removed it meanwhile.
    if application_id(&transaction)? == BACKUP_ID {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.commit()
}

/// Returns the application id of a SQLite file, which is 0 unless a program sets it.
pub(super) fn application_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA application_id", [], |row| row.get(0))
}

/// Switches the SQLite file to WAL mode (write-ahead log). SQLite does not call the busy handler
/// for this, to avoid deadlocks, so the attempts are repeated here. Another process that starts on
/// a new file at the same time is done in a few milliseconds.
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

/// Rejects a SQLite file that is not Sentinel's, and a file with the schema of a newer Sentinel
/// version. Returns the version of the schema; 0 for an empty file.
pub(super) fn check_file(connection: &Connection, path: &Path) -> Result<usize> {
    let unusable = |error: rusqlite::Error| unusable(path, &error);
    let application = application_id(connection).map_err(unusable)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(unusable)?;
    let is_own = matches!(application, APPLICATION_ID | BACKUP_ID);
    if !is_own && (application != 0 || tables > 0) {
        return Err(StoreError::Open(format!(
            "{} is a SQLite file, but not a Sentinel store",
            path.display()
        )));
    }
    let version = version_of(connection).map_err(unusable)?;
    if version > MIGRATIONS.len() {
        return Err(StoreError::Open(format!(
            "{} has schema version {version}, written by a newer Sentinel; this version supports up to {}",
            path.display(),
            MIGRATIONS.len()
        )));
    }
    Ok(version)
}

fn version_of(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Runs the next schema migration, if one is missing. Reads the schema version under the write
/// lock, since another process may be starting on the same file.
fn migrate_once(connection: &mut Connection, path: &Path) -> Result<()> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| unusable(path, &error))?;
    let version = version_of(&transaction).map_err(failed)?;
    let Some(migration) = MIGRATIONS.get(version) else {
        return Ok(());
    };
    transaction.execute_batch(migration).map_err(|error| unusable(path, &error))?;
    if version == USERNAME_KEYS {
        fill_username_keys(&transaction).map_err(|error| unusable(path, &error))?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.pragma_update(None, "user_version", to_version(version + 1)).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Computes the key by which the name of each existing user is compared.
fn fill_username_keys(connection: &Connection) -> rusqlite::Result<()> {
    let mut users = connection.prepare("SELECT rowid, username FROM users NOT INDEXED")?;
    let mut update = connection.prepare("UPDATE users SET username_key = ?1 WHERE rowid = ?2")?;
    let mut rows = users.query([])?;
    while let Some(row) = rows.next()? {
        // A damaged name has no key. Reading the user reports the damage.
        if let Ok(username) = row.get::<_, String>(1) {
            update.execute((username_key(&username), row.get::<_, i64>(0)?))?;
        }
    }
    Ok(())
}

fn to_version(version: usize) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}
