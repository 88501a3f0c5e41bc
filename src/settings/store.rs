//! `[store]`: the store backend.

use std::path::PathBuf;

use super::keyword::Keyword;
use super::reader::Reader;

/// Settings of the store of users, clients and sessions.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Store backend: the database that holds users, clients and sessions.
    pub backend: Backend,
    /// File of the embedded store. The folder of this file is the data folder.
    pub path: PathBuf,
}

/// Store backend: the database in which the store keeps its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Embedded database: one SQLite file.
    #[default]
    Embedded,
    /// MongoDB, configured in `[mongo]`.
    Mongodb,
}

impl Backend {
    /// Returns the keyword of this backend in the setting `store.backend`.
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

/// Description of a valid `store.path`.
const PATH: &str =
    "the path of a file, not a URI and not :memory: (a file of such a name is ./NAME)";

impl StoreSettings {
    /// Returns whether a text can be the path of the embedded store. SQLite would take the others
    /// for the URI of a database or for one in memory.
    pub fn is_path(text: &str) -> bool {
        let is_uri = text.starts_with("file:") || text.contains("://");
        !text.is_empty() && !is_uri && text != ":memory:"
    }

    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            backend: reader.keyword("store.backend"),
            path: reader.text("store.path", PATH, Self::is_path).into(),
        }
    }
}
