//! Sources of settings, as plain data, so that a test does not change the environment of its
//! process.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// Sources that [`Settings::load`](super::Settings::load) merges over the built-in defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// Settings file named by `--config`. If it is `None`, `SENTINEL_CONFIG` in `env` names the
    /// file, if any.
    pub file: Option<PathBuf>,
    /// Environment variables of the process. Those that are not Sentinel's are ignored.
    pub env: Vec<(OsString, OsString)>,
    /// Settings from command-line flags, as (`table.name`, value). The values have the same forms
    /// as in the environment. Of several values of a key, the last one wins.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// Returns the environment of this process and, if given, a settings file, but no flags.
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

/// Shows the names of variables and flags only, since their values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("overrides", &self.overrides.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .finish()
    }
}
