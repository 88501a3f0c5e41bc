//! Settings, from the environment and a file: the description of loaded settings loads as the same
//! settings.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use sentinel::settings::{Error, Settings, Sources};
use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = super::world::folder();
}

/// Lines `NAME=value` before a line `---` are the environment. The rest is the settings file.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let lower = text.to_ascii_lowercase();
    // The target must not open files that settings name.
    if ["_file", "sentinel_config", "\\u"].iter().any(|name| lower.contains(name)) {
        return;
    }
    let (environment, file) = text.split_once("---\n").unwrap_or((text, ""));
    let pairs = environment.lines().filter_map(|line| line.split_once('='));
    let env = pairs.map(|(name, value)| (name.into(), value.into())).collect();
    let Some(settings) = load(env, file) else { return };
    let shown = settings.describe();
    let again = load(Vec::new(), &shown);
    let again = again.unwrap_or_else(|| panic!("{shown:?} of {text:?} does not load"));
    assert_eq!(again.to_table(), settings.to_table());
    assert_eq!(shown.parse::<toml::Table>().unwrap(), settings.to_table());
}

fn load(env: Vec<(OsString, OsString)>, file: &str) -> Option<Settings> {
    let path: PathBuf = FOLDER.with(|folder| folder.path().join("sentinel.toml"));
    fs::write(&path, file).unwrap();
    match Settings::load(&Sources { file: Some(path), env, overrides: Vec::new() }) {
        Ok(settings) => Some(settings),
        Err(error @ (Error::Syntax { .. } | Error::Invalid(_))) => {
            assert!(!error.to_string().is_empty());
            None
        }
        Err(error) => panic!("{error}"),
    }
}
