//! `[store]`: the store backend.

use std::path::PathBuf;

use super::keyword::Keyword;
use super::reader::Reader;

/// Store of users, clients and sessions.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Store backend.
    pub backend: Backend,
    /// File of the embedded store. Its folder is the data folder.
    pub path: PathBuf,
}

/// Store backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// One SQLite file.
    #[default]
    Embedded,
    /// MongoDB, configured in `[mongo]`.
    Mongodb,
}

impl Backend {
    /// Returns the keyword of the setting.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Mongodb => "mongodb",
        }
    }
}

impl Keyword for Backend {
    const KEYWORDS: &'static [(&'static str, Self)] =
        &[(Self::Embedded.as_str(), Self::Embedded), (Self::Mongodb.as_str(), Self::Mongodb)];
}

impl StoreSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            backend: reader.keyword("store.backend"),
            path: reader.text("store.path", "the path of a file", |path| !path.is_empty()).into(),
        }
    }
}
