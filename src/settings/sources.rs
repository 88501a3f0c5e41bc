//! Where settings come from, as plain data, so that a test never changes its own process's
//! environment.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// Everything that [`Settings::load`](super::Settings::load) looks at besides the built-in
/// defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file named by `--config`; without it, the one that `SENTINEL_CONFIG` names in `env`, if
    /// any.
    pub file: Option<PathBuf>,
    /// The environment. Variables that are not ours are passed over.
    pub env: Vec<(OsString, OsString)>,
    /// Settings from flags, as (`table.name`, value), in the forms that the environment takes. The
    /// last of a key wins.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// The process's environment and, if given, a file; no flags.
    pub fn from_process(file: Option<PathBuf>) -> Self {
        Self { file, env: std::env::vars_os().collect(), overrides: Vec::new() }
    }

    pub(super) fn path(&self) -> Option<PathBuf> {
        let named = || {
            let (_, path) =
                self.env.iter().find(|(name, _)| name == OsStr::new("SENTINEL_CONFIG"))?;
            // `SENTINEL_CONFIG=` is how a compose file spells "not set".
            (!path.is_empty()).then(|| PathBuf::from(path))
        };
        self.file.clone().or_else(named)
    }
}

/// Names only: the values of variables and flags may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("overrides", &self.overrides.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .finish()
    }
}
