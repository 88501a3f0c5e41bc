//! Backups of the embedded store: made while servers read and write, restored while none runs.
//!
//! `VACUUM INTO` reads one snapshot, and writers do not wait for it. SQLite's backup API starts
//! again whenever another process has written, and beside a busy server would not finish. The copy
//! has no write-ahead log, and is marked as a backup ([`schema::BACKUP_ID`]).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::file::{self, LOG, LOG_INDEX, beside};
use super::{READ_PATIENCE, missing, schema};
use crate::domain::{Timestamp, random_bytes};
use crate::store::{Result, StoreError};

/// Error of a backup of the embedded store, or of restoring one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target file of the backup exists already.
    #[error("{} exists already; a backup overwrites nothing", .0.display())]
    Exists(PathBuf),
    /// The backup that is to be restored does not exist or is not a file.
    #[error("there is no backup at {}", .0.display())]
    NoBackup(PathBuf),
    /// The file that is to be restored has a write-ahead log, so that it is incomplete.
    #[error(
        "{} is not a backup but a store, with a write-ahead log beside it: make a backup of it with \
         `sentinel store backup`",
        .0.display()
    )]
    NotBackup(PathBuf),
    /// A server or a command has the store open that is to be replaced.
    #[error("the store {} is in use: stop the server and restore again", .0.display())]
    InUse(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Path of the file or folder.
        path: PathBuf,
        /// Error that the file system reported for the file.
        #[source]
        source: io::Error,
    },
    /// The store or the backup cannot be read, or the check of the copy failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Result of restoring a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Size of the restored store, in bytes.
    pub bytes: u64,
    /// Folder that contains the replaced files; `None` if there was no store.
    pub replaced: Option<PathBuf>,
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> BackupError + '_ {
    |source| BackupError::Write { path: path.to_owned(), source }
}

/// Copies the store file at `path` to a new file `to` that only its owner can read, and checks the
/// copy. Returns the size of the copy in bytes.
///
/// # Errors
/// [`BackupError`] if the copy cannot be made or is invalid. No new file is left behind.
pub fn backup(path: &Path, to: &Path) -> Result<u64, BackupError> {
    if file::find(path)?.is_none() {
        return Err(missing(path).into());
    }
    let failed = write_error(to);
    // Reserves the name. The backup is written to a temporary file in the same folder, which is
    // renamed when it is complete.
    private(to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => failed(error),
    })?;
    let part = temporary_path(to);
    let unusable = |error: rusqlite::Error| file::unusable(path, &error);
    // Reading a file in WAL mode needs write access to the files beside it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let done = Connection::open_with_flags(path, flags)
        .and_then(|store| store.busy_timeout(READ_PATIENCE).map(|()| store))
        .map_err(|error| unusable(error).into())
        .and_then(|store| {
            schema::check_file(&store, path)?;
            let bytes = copy(&store, path, &part)?;
            fs::rename(&part, to).map_err(&failed)?;
            sync_folder(to).map_err(&failed)?;
            Ok(bytes)
        });
    if done.is_err() {
        // The files may not exist, and the first error is the one to report.
        let _ = (fs::remove_file(&part), fs::remove_file(to));
    }
    done
}

/// Puts a copy of the backup in the place of the store at `path`, and moves the files of the
/// replaced store to a new folder beside it, named after `now`. The backup may already be in that
/// place, beside the write-ahead log of the store that it replaced.
///
/// # Errors
/// [`BackupError`] if the backup is invalid, or the store is in use or cannot be replaced. An error
/// before the replacement changes nothing. Interrupted during the replacement, it leaves the old
/// log beside the marked copy, which no server opens; a repetition completes it.
pub fn restore(path: &Path, backup: &Path, now: Timestamp) -> Result<Restored, BackupError> {
    file::existing_file(path)?;
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let Ok(source) = fs::canonicalize(backup).and_then(|found| {
        if found.is_file() { Ok(found) } else { Err(io::ErrorKind::NotFound.into()) }
    }) else {
        return Err(BackupError::NoBackup(backup.to_owned()));
    };
    let unreadable = |error: rusqlite::Error| file::unusable(backup, &error);
    // A log beside a marked backup is not the backup's own. This check comes first, because a file
    // whose last pages are still in its log looks damaged.
    let application = file::stored_application_id(&source).map_err(unreadable)?;
    let has_log = fs::metadata(beside(&source, LOG)).is_ok_and(|log| log.len() > 0);
    if has_log && application == schema::APPLICATION_ID {
        return Err(BackupError::NotBackup(backup.to_owned()));
    }
    let opened = file::open_without_log(&source).map_err(unreadable)?;
    let version = schema::check_file(&opened, backup)?;
    if version == 0 {
        let reason = format!("{} is not a Sentinel backup", backup.display());
        return Err(StoreError::Open(reason).into());
    }
    file::create_folder(&target).map_err(write_error(&target))?;
    let part = temporary_path(&target);
    let done = copy(&opened, backup, &part).and_then(|bytes| {
        let _held = hold_alone(&target)?;
        keep_owner(&target, &part);
        let replaced = replace(&target, &part, now)?;
        Ok(Restored { bytes, replaced })
    });
    if done.is_err() {
        // The file may not exist, and the first error is the one to report.
        let _ = fs::remove_file(&part);
    }
    done
}

/// Moves the files of the store at `target`, if there are any, to a new folder, and `part` in their
/// place. Returns the new folder.
fn replace(target: &Path, part: &Path, now: Timestamp) -> Result<Option<PathBuf>, BackupError> {
    let beside = [LOG, LOG_INDEX].map(|suffix| beside(target, suffix));
    let is_new = !target.exists() && !beside.iter().any(|file| file.exists());
    let folder = target.with_file_name(format!("replaced-{}", compact(now)));
    if !is_new {
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(write_error(&folder))?;
    }
    let kept = |file: &Path| folder.join(file.file_name().unwrap_or_default());
    // A link and not a move, so that there is a file at every moment: a server that starts without
    // one creates an empty store.
    match fs::hard_link(target, kept(target)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        linked => {
            linked.or_else(|_| fs::rename(target, kept(target))).map_err(write_error(&folder))?;
        }
    }
    fs::rename(part, target).map_err(write_error(target))?;
    // After the replacement: if this is interrupted, the log lies beside a marked backup, which is
    // rejected. The replaced file without its log would be accepted.
    for file in &beside {
        match fs::rename(file, kept(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved.map_err(write_error(file))?,
        }
    }
    sync_folder(target).map_err(write_error(target))?;
    Ok(Some(folder).filter(|_| !is_new))
}

/// Returns a time as part of a file name: `2024-05-01-120000`, as in the names of the documented
/// backups.
fn compact(time: Timestamp) -> String {
    time.to_string().trim_end_matches('Z').replace('T', "-").replace(':', "")
}

/// Opens the store at `path`, if there is one, so that no other process can open it until the
/// returned connection is closed. Changes nothing.
fn hold_alone(path: &Path) -> Result<Option<Connection>, BackupError> {
    if file::existing_file(path)?.is_none() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let alone = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        Ok(connection)
    });
    let connection = alone.map_err(|error| file::unusable(path, &error))?;
    let locked = connection.execute_batch("BEGIN EXCLUSIVE; COMMIT");
    match locked.map_err(|error| error.sqlite_error_code()) {
        Err(Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => {
            Err(BackupError::InUse(path.to_owned()))
        }
        // A damaged store can be replaced too.
        _ => Ok(Some(connection)),
    }
}

/// Gives `part` the owner of the store that it replaces, or of its folder, in case the command runs
/// as root. Other users have no right to do so, and own the files themselves.
fn keep_owner(target: &Path, part: &Path) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let owner = fs::metadata(target).or_else(|_| fs::metadata(folder.unwrap_or(Path::new("."))));
    if let Ok(owner) = owner {
        let _ = std::os::unix::fs::chown(part, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Returns a path for the temporary file of the backup `to`: `sentinel.bak` →
/// `.sentinel.bak.1a2b3c4d.part`.
fn temporary_path(to: &Path) -> PathBuf {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let random = random_bytes().map_or(0, u32::from_le_bytes);
    to.with_file_name(format!(".{name}.{random:08x}.part"))
}

/// Creates a new, empty file that only its owner can read and write. SQLite writes a backup to an
/// existing file if the file is empty.
fn private(path: &Path) -> io::Result<()> {
    OpenOptions::new().mode(0o600).write(true).create_new(true).open(path).map(drop)
}

/// Copies the snapshot of an open store or backup, whose path is `of`, to a new file, checks it and
/// marks it as a backup. Returns its size. After an error, the file may exist.
fn copy(open: &Connection, of: &Path, to: &Path) -> Result<u64, BackupError> {
    private(to).map_err(write_error(to))?;
    let failed = |error: rusqlite::Error| {
        StoreError::Open(format!("cannot copy the store {}: {error}", of.display()))
    };
    // An absolute path, because SQLite takes a relative one that begins with `file:` for a URI.
    let path = std::path::absolute(to).map_err(write_error(to))?;
    let path = path
        .to_str()
        .ok_or_else(|| StoreError::Open(format!("the path {} is not UTF-8", to.display())))?;
    open.execute("VACUUM INTO ?1", [path]).map_err(failed)?;
    check_and_mark(to)?;
    let file = File::open(to).map_err(write_error(to))?;
    file.sync_all().map_err(write_error(to))?;
    Ok(file.metadata().map_err(write_error(to))?.len())
}

/// Reads the whole copy at `path`. Checks its integrity, and that this version of Sentinel could
/// open it. Marks it as a backup.
fn check_and_mark(path: &Path) -> Result<()> {
    let invalid = |what: String| {
        StoreError::Open(format!("the copy of the store is invalid and was removed: {what}"))
    };
    let failed = |error: rusqlite::Error| invalid(error.to_string());
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    let report: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if report != "ok" {
        return Err(invalid(report));
    }
    schema::check_file(&connection, path)?;
    schema::mark_as_backup(&connection).map_err(failed)
}

/// Syncs the folder of the file `of` to disk, so that the file's new name survives a power failure.
fn sync_folder(of: &Path) -> io::Result<()> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
