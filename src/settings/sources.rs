//! Sources of settings, as plain data, so that a test does not change the environment of its
//! process.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// Input of [`Settings::load`](super::Settings::load) besides the built-in defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// File named by `--config`. If it is `None`, `SENTINEL_CONFIG` in `env` names the file, if
    /// any.
    pub file: Option<PathBuf>,
    /// Environment variables. Those that are not Sentinel's are ignored.
    pub env: Vec<(OsString, OsString)>,
    /// Settings from flags, as (`table.name`, value). The values have the same forms as in the
    /// environment. Of several values of a key, the last one wins.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// Returns the environment of the process and, if given, a file. Contains no flags.
    pub fn from_process(file: Option<PathBuf>) -> Self {
        Self { file, env: std::env::vars_os().collect(), overrides: Vec::new() }
    }

    pub(super) fn path(&self) -> Option<PathBuf> {
        let named = || {
            let (_, path) =
                self.env.iter().find(|(name, _)| name == OsStr::new("SENTINEL_CONFIG"))?;
            // A compose file passes `SENTINEL_CONFIG=` for a variable that is not set.
            (!path.is_empty()).then(|| PathBuf::from(path))
        };
        self.file.clone().or_else(named)
    }
}

/// Shows names only, since the values of variables and flags may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("overrides", &self.overrides.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .finish()
    }
}
