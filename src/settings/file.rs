//! Reads files that settings name. A file may be a pipe, as process substitution of a shell makes
//! it, so its size is not known before it is read.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Maximum size of a settings file, a secret, a certificate or a key: 1 MiB. A device such as
/// `/dev/zero` never ends.
const MAX_SIZE: u64 = 1 << 20;

/// Reads a file that a setting names.
///
/// # Errors
/// The error of the operating system, or [`ErrorKind::FileTooLarge`] for a file of more than 1 MiB.
pub fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_SIZE) {
        return Ok(bytes);
    }
    Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"))
}

/// Reads a text file that a setting names, without a byte order mark, which some editors write.
///
/// # Errors
/// As [`read_limited`], and [`ErrorKind::InvalidData`] if the file is not UTF-8.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::from_utf8(read_limited(path)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not valid UTF-8"))?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}
