//! Backup of the embedded store while servers read and write.
//!
//! `VACUUM INTO` reads one snapshot, and writers do not wait for it. SQLite's backup API starts
//! again whenever another process has written, and beside a busy server would not finish.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{READ_PATIENCE, schema};
use crate::store::{Result, StoreError};

/// Error of a backup of the embedded store.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target file of the backup exists already.
    #[error("{} exists already; a backup overwrites nothing", .0.display())]
    Exists(PathBuf),
    /// The SQLite file of the store does not exist.
    #[error("the store {} does not exist", .0.display())]
    NoStore(PathBuf),
    /// The backup file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Path of the backup file.
        path: PathBuf,
        /// Error that the file system reported for the backup file.
        #[source]
        source: io::Error,
    },
    /// The store cannot be read, or the check of the finished backup failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies the store file at `path` to a new file `to` that only its owner can read, and checks the
/// copy. Returns the size of the copy in bytes.
///
/// # Errors
/// [`BackupError`] if the copy cannot be made or is invalid. No new file is left behind.
pub fn backup(path: &Path, to: &Path) -> Result<u64, BackupError> {
    if !path.exists() {
        return Err(BackupError::NoStore(path.to_owned()));
    }
    let failed = |source| BackupError::Write { path: to.to_owned(), source };
    // Reserves the name. The backup is written to a temporary file in the same folder, which is
    // renamed when it is complete.
    private(to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => failed(error),
    })?;
    let part = temporary_path(to);
    let done = private(&part).map_err(failed).and_then(|()| {
        copy(path, &part)?;
        check(&part)?;
        let file = File::open(&part).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&part, to).map_err(failed)?;
        sync_folder(to).map_err(failed)?;
        Ok(file.metadata().map_err(failed)?.len())
    });
    if done.is_err() {
        // The files may not exist, and the first error is the one to report.
        let _ = (fs::remove_file(&part), fs::remove_file(to));
    }
    done
}

/// Returns a path for the temporary file of the backup `to`: `sentinel.bak` →
/// `.sentinel.bak.1a2b3c4d.part`.
fn temporary_path(to: &Path) -> PathBuf {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    to.with_file_name(format!(".{name}.{:08x}.part", rand::random::<u32>()))
}

/// Creates a new, empty file that only its owner can read and write. SQLite writes a backup to an
/// existing file if the file is empty.
fn private(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.write(true).create_new(true).open(path).map(drop)
}

fn copy(path: &Path, to: &Path) -> Result<()> {
    let unusable = |error: rusqlite::Error| {
        StoreError::Open(format!("cannot back up the store {}: {error}", path.display()))
    };
    // Reading a file in WAL mode needs write access to the files beside it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unusable)?;
    connection.busy_timeout(READ_PATIENCE).map_err(unusable)?;
    schema::check_file(&connection, path)?;
    let to = to
        .to_str()
        .ok_or_else(|| StoreError::Open(format!("the path {} is not UTF-8", to.display())))?;
    connection.execute("VACUUM INTO ?1", [to]).map_err(unusable)?;
    Ok(())
}

/// Reads the whole backup file at `path`. Checks its integrity, and that this version of Sentinel
/// could open it.
fn check(path: &Path) -> Result<()> {
    let invalid =
        |what: String| StoreError::Open(format!("the backup is invalid and was removed: {what}"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| invalid(error.to_string()))?;
    let report: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| invalid(error.to_string()))?;
    if report != "ok" {
        return Err(invalid(report));
    }
    schema::check_file(&connection, path)
}

/// Syncs the folder of the file `of` to disk, so that the file's new name survives a power failure.
fn sync_folder(of: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
