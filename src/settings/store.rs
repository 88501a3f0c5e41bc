//! `[store]`: which store holds the truth.

use std::path::PathBuf;

use super::choice::Choice;
use super::reader::Reader;

/// Where users, clients and sessions are kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// Which store.
    pub backend: Backend,
    /// The file of the embedded store. Its folder is the data folder.
    pub path: PathBuf,
}

/// Which store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// One SQLite file.
    #[default]
    Embedded,
    /// MongoDB, as `[mongo]` says.
    Mongodb,
}

impl Backend {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Mongodb => "mongodb",
        }
    }
}

impl Choice for Backend {
    const WORDS: &'static [(&'static str, Self)] =
        &[(Self::Embedded.as_str(), Self::Embedded), (Self::Mongodb.as_str(), Self::Mongodb)];
}

impl Store {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            backend: reader.choice("store.backend"),
            path: reader.text("store.path", "the path of a file", |path| !path.is_empty()).into(),
        }
    }
}
