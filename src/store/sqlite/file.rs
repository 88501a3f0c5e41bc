//! Files of the embedded store: finds, creates and watches them, and explains access errors.
//!
//! SQLite keeps a write-ahead log (`-wal`) and its index (`-shm`) beside an open store. The log
//! does not name its store: beside any other file, SQLite would mix the log into that file.
//! Therefore, a backup beside a log, and a log without a store, are rejected.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::Access;

use super::schema;
use crate::store::{Result, StoreError};

/// Suffix of the write-ahead log beside a store file.
pub(super) const LOG: &str = "-wal";
/// Suffix of the index of the write-ahead log.
pub(super) const LOG_INDEX: &str = "-shm";

/// Reason for which a store whose file is gone answers no request.
pub(super) const LOST: &str = "the store file was removed or replaced while it was open: put it \
    back, or restart Sentinel to use the file that is there now";

/// Returns the path of the file that SQLite keeps beside the store file `path`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Finds the store file at `path`. Returns its path with symbolic links resolved, or `None` if the
/// file does not exist or is empty. Opens nothing for writing.
///
/// # Errors
/// [`StoreError::Configuration`] if `path` is no file or is below one. [`StoreError::Open`] if the
/// file cannot be reached, or if the write-ahead log there does not belong to it.
pub(super) fn find(path: &Path) -> Result<Option<PathBuf>> {
    // The log is looked for first: another process that creates the store makes the file first, and
    // one that takes a backup into use removes its mark first.
    let log = beside(&fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()), LOG);
    let has_log = log.exists();
    let found = existing_file(path)?;
    let reason = match &found {
        None if has_log => format!(
            "there is no such file, but its write-ahead log {} is there; put the file back, or move \
             the log to another folder to start with an empty store",
            log.display()
        ),
        Some(file) if has_log && matches!(stored_application_id(file), Ok(schema::BACKUP_ID)) => {
            format!(
                "it is a backup, and {} is the write-ahead log of the store that it replaced; stop the \
             server and run `sentinel store restore {}`, which moves the old files away",
                log.display(),
                path.display()
            )
        }
        _ => return Ok(found),
    };
    Err(refusal(path, &reason))
}

/// Returns the store file at `path` with symbolic links resolved; `None` if it does not exist or is
/// empty.
pub(super) fn existing_file(path: &Path) -> Result<Option<PathBuf>> {
    for place in path.ancestors().filter(|place| !place.as_os_str().is_empty()) {
        let no_file = |reason: String| Err(StoreError::Configuration(describe(path, &reason)));
        let reason = match fs::metadata(place) {
            Ok(found) if place == path => {
                if found.is_file() {
                    let file = fs::canonicalize(path).map_err(|error| refusal(path, &error))?;
                    return Ok(Some(file).filter(|_| found.len() > 0));
                }
                let kind = if found.is_dir() { "a folder" } else { "not a regular file" };
                return no_file(format!("it is {kind}"));
            }
            Ok(found) if found.is_dir() => return Ok(None),
            Ok(_) => return no_file(format!("{} is not a folder", place.display())),
            Err(error) if is_missing(&error) => match fs::read_link(place) {
                Ok(target) => format!(
                    "{} is a symbolic link to {}, which does not exist",
                    place.display(),
                    target.display()
                ),
                Err(_) => continue,
            },
            Err(error) => error.to_string(),
        };
        return Err(refusal(path, &reason));
    }
    Ok(None)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Creates the store file at `path` and its folder, with access for the owner only, since the file
/// contains password hashes. SQLite gives the files `-wal` and `-shm` the mode of the store file.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    create_folder(path)?;
    // An existing file is not opened: closing it would release the locks that SQLite holds on it in
    // this process (https://sqlite.org/howtocorrupt.html, 2.2).
    match fs::OpenOptions::new().mode(0o600).write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Creates the folder of the store file at `path` with access for the owner only.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => fs::DirBuilder::new().mode(0o700).recursive(true).create(parent),
        None => Ok(()),
    }
}

fn describe(path: &Path, reason: &dyn std::fmt::Display) -> String {
    format!("cannot open the store {}: {reason}", path.display())
}

/// Returns the error for a store that cannot be opened, with the reason.
pub(super) fn refusal(path: &Path, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Open(describe(path, reason))
}

/// Returns the error for a store file that SQLite cannot use. If the cause is missing access or a
/// full disk, names the file or folder, which SQLite does not.
pub(super) fn unusable(path: &Path, error: &rusqlite::Error) -> StoreError {
    let may_be_system = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
        )
    );
    match may_be_system.then(|| obstacle(path)).flatten() {
        Some(reason) => refusal(path, &reason),
        None => refusal(path, error),
    }
}

/// Space that SQLite needs beside the file to open it, in bytes: the index of the write-ahead log.
const LEAST_SPACE: u64 = 32 << 10;

/// Returns the file of the store that this process may not use, or the folder in which it may not
/// create files or has no space, with the reason.
fn obstacle(path: &Path) -> Option<String> {
    let file = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    let (log, index) = (beside(&file, LOG), beside(&file, LOG_INDEX));
    let files = [file, log, index].into_iter().filter(|file| file.exists());
    let files = files.map(|file| (file, Access::READ_OK | Access::WRITE_OK));
    let places = files.chain([(folder.clone(), Access::WRITE_OK | Access::EXEC_OK)]);
    let refused = places.filter_map(|(place, access)| {
        let error = io::Error::from(rustix::fs::access(&place, access).err()?);
        let advice = match error.kind() {
            ErrorKind::PermissionDenied => "; run Sentinel as the user who owns the store",
            _ => "",
        };
        Some(format!("cannot write to {}: {error}{advice}", place.display()))
    });
    let is_full = rustix::fs::statvfs(&folder).is_ok_and(|disk| {
        disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_SPACE
    });
    let full = is_full.then(|| format!("the disk of {} is full", folder.display()));
    refused.chain(full).next()
}

/// Checks that this process may use the store at `path`, or create it there. Writes nothing.
pub(super) fn check_access(path: &Path) -> Result<()> {
    // Folders that do not exist yet would be created in the nearest one that does.
    let mut places = path.ancestors().skip(1).chain([Path::new(".")]);
    let is_folder = |place: &&Path| place.is_dir();
    let folder = places.find(is_folder).unwrap_or(Path::new("."));
    let file = if path.exists() { path.to_owned() } else { folder.join("sentinel.db") };
    obstacle(&file).map_or(Ok(()), |reason| Err(refusal(path, &reason)))
}

/// Opens a file for reading only, without the write-ahead log beside it and without locks, although
/// another file may have left that log, or another process may have the file open.
pub(super) fn open_without_log(file: &Path) -> rusqlite::Result<Connection> {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let path = percent_encode(path.as_os_str().as_bytes(), NON_ALPHANUMERIC);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
}

/// Returns the application id in the file itself, which may differ from the one in its write-ahead
/// log.
pub(super) fn stored_application_id(file: &Path) -> rusqlite::Result<i64> {
    let connection = open_without_log(file)?;
    // Otherwise SQLite rejects a file that lacks the last pages, which may still be in the log.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    schema::application_id(&connection)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Detects that the store file was removed, replaced or overwritten while it is open.
pub(super) struct FileWatch {
    path: PathBuf,
    /// Device and inode of the file that was opened.
    opened: (u64, u64),
    /// Size and time of the last write, when the content was looked at.
    checked: Option<(u64, i64, i64)>,
    is_overwritten: bool,
    is_lost: Arc<AtomicBool>,
}

impl FileWatch {
    /// Starts to watch the file at `path`, which the process has just opened.
    pub(super) fn start(path: &Path) -> Result<Self> {
        let found = fs::metadata(path).map_err(|error| refusal(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            opened: (found.dev(), found.ino()),
            checked: None,
            is_overwritten: false,
            is_lost: Arc::default(),
        })
    }

    /// Returns the flag that is true as long as the file is not the one that was opened.
    pub(super) fn lost_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_lost)
    }

    /// Returns whether the file is still the one that was opened, and sets the flag accordingly.
    pub(super) fn is_intact(&mut self) -> bool {
        let is_intact = match fs::metadata(&self.path) {
            Ok(found) => (found.dev(), found.ino()) == self.opened && !self.is_overwritten(&found),
            Err(error) => !is_missing(&error),
        };
        self.is_lost.store(!is_intact, Ordering::Relaxed);
        is_intact
    }

    /// Returns whether a backup, or another file, was copied into the open file. Reads the file
    /// only if it was written since the last call: SQLite writes to it at checkpoints only.
    fn is_overwritten(&mut self, found: &fs::Metadata) -> bool {
        let written = (found.len(), found.mtime(), found.mtime_nsec());
        if self.checked != Some(written) {
            self.checked = Some(written);
            self.is_overwritten = match stored_application_id(&self.path) {
                _ if found.len() == 0 => true,
                // A new file gets its id at the first checkpoint.
                Ok(id) => id != 0 && id != schema::APPLICATION_ID,
                Err(error) if is_damage(&error) => true,
                Err(_) => {
                    // For example because too many files are open. The next call tries again.
                    self.checked = None;
                    false
                }
            };
        }
        self.is_overwritten
    }
}
