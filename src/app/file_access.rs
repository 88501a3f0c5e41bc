//! Warns about files with secrets that every user of the machine can read, and about files that
//! every user can change.

use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::private_folder::private_folder;
use crate::settings::{Backend, Settings, TlsMode};

/// Permissions of other users, those that are neither the owner nor in the group (chmod(2)).
const READ: u32 = 0o004;
const WRITE: u32 = 0o002;
/// Permission of other users to reach the files in a folder.
const ENTER: u32 = 0o001;
/// Permission bit of a folder in which only its owner can replace a file, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Folder in which container runtimes put secrets. They are readable for every user of the
/// container, which has no others.
const CONTAINER_SECRETS: &str = "/run/secrets";

/// A file that the server uses.
struct UsedFile {
    /// Setting that names the file, for the warning.
    name: String,
    path: PathBuf,
    /// Whether the file has secrets, so that others must not read it.
    is_secret: bool,
}

/// Returns one sentence for each file that other users of the machine can read or change and must
/// not, and for a store that disappears with its service. A file that does not exist yet is created
/// with access for its owner only.
pub fn file_access_warnings(settings: &Settings) -> Vec<String> {
    let is_embedded = settings.store.backend == Backend::Embedded;
    let store = is_embedded.then(|| private_folder(&settings.store.path)).flatten();
    let store = store.map(|reason| format!("store.path: {reason}"));
    store.into_iter().chain(used_files(settings).iter().filter_map(warning)).collect()
}

fn used_files(settings: &Settings) -> Vec<UsedFile> {
    let secret = |name: &str, path: &Path| UsedFile {
        name: name.to_owned(),
        path: path.to_owned(),
        is_secret: true,
    };
    let mut files: Vec<UsedFile> = Vec::new();
    if settings.store.backend == Backend::Embedded {
        files.push(secret("store.path", &settings.store.path));
    }
    if let Some(path) = settings.file() {
        let is_secret = settings.has_secret_in_file();
        files.push(UsedFile { is_secret, ..secret("the settings file", path) });
    }
    files.extend(settings.secret_files().iter().map(|(key, path)| secret(key, path)));
    let tls_key = settings.tls.key.as_ref().filter(|_| settings.tls.mode == TlsMode::Files);
    for (key, path) in [("tls.key", tls_key), ("redis.tls_key", settings.redis.tls_key.as_ref())] {
        files.extend(path.map(|path| secret(key, path)));
    }
    files
}

fn warning(file: &UsedFile) -> Option<String> {
    let path = file.path.canonicalize().ok()?;
    let metadata = fs::metadata(&path).ok().filter(Metadata::is_file)?;
    let folders = path.ancestors().skip(1);
    let folders: Vec<(&Path, u32)> = folders
        .map(|folder| Some((folder, mode(&fs::metadata(folder).ok()?))))
        .collect::<Option<_>>()?;
    if path.starts_with(CONTAINER_SECRETS) || folders.iter().any(|(_, mode)| mode & ENTER == 0) {
        return None;
    }
    let (name, shown) = (&file.name, path.display());
    let open = |(_, mode): &&(&Path, u32)| mode & WRITE != 0 && mode & STICKY == 0;
    if let Some((folder, _)) = folders.iter().find(open) {
        let folder = folder.display();
        return Some(format!(
            "{name}: every user of this machine can replace {shown}, because every user can write \
             to the folder {folder}; run: chmod o-w '{folder}'"
        ));
    }
    let own = mode(&metadata);
    let can = match (file.is_secret && own & READ != 0, own & WRITE != 0) {
        (true, true) => "read and change",
        (true, false) => "read",
        (false, true) => "change",
        (false, false) => return None,
    };
    let bits = if file.is_secret { "o-rwx" } else { "o-w" };
    Some(format!(
        "{name}: every user of this machine can {can} {shown}; run: chmod {bits} '{shown}'"
    ))
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode()
}
