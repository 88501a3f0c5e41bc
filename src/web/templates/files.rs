//! Reads the operator's own templates and styles.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::{STYLES, TemplateError, TemplateErrors};

/// Maximum depth of folders below `templates.dir` (the operator's templates), so that a symbolic
/// link to a parent folder cannot cause endless recursion.
const DEPTH: usize = 4;
/// Maximum size of a template or style: 1 MiB. A device such as `/dev/zero` never ends.
const MAX_SIZE: u64 = 1 << 20;

/// Returns the contents of the operator's templates in a folder, and of the styles that replace
/// built-in ones, by their paths below the folder. Other files are ignored.
pub(super) fn read(dir: &Path) -> Result<BTreeMap<String, String>, TemplateErrors> {
    let mut found = BTreeMap::new();
    let mut wrong = Vec::new();
    collect(dir, "", DEPTH, &mut found, &mut wrong);
    if wrong.is_empty() { Ok(found) } else { Err(TemplateErrors(wrong)) }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(MAX_SIZE + 1).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_SIZE) {
        return Ok(text);
    }
    Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"))
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut BTreeMap<String, String>,
    wrong: &mut Vec<TemplateError>,
) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if prefix.is_empty() => {
            let message = format!("cannot read templates.dir: {error}");
            return wrong.push(TemplateError::from_file(folder, message));
        }
        Err(error) => return wrong.push(TemplateError::from_file(folder, error)),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return wrong.push(TemplateError::from_file(folder, error)),
        };
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            if depth > 0 {
                collect(&path, &format!("{name}/"), depth - 1, found, wrong);
            }
            continue;
        }
        if !name.ends_with(".html") && !STYLES.iter().any(|(known, _)| *known == name) {
            continue;
        }
        match read_text(&path) {
            Ok(text) => drop(found.insert(name, text)),
            Err(error) => wrong.push(TemplateError::from_file(&path, error)),
        }
    }
}
