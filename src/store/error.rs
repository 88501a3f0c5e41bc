//! Errors of the stores.

use std::error::Error;
use std::path::PathBuf;

/// Error of a store operation. No variant says anything about the validity of a token or a
/// password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The backend (database) failed or cannot be reached. The operation may succeed later.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The store rejected the operation because too many operations are waiting.
    #[error("the store is too busy")]
    Busy,
    /// A stored record cannot be decoded.
    #[error("the store holds a corrupt {what}")]
    Corrupt {
        /// Kind of the stored record, such as "user", for the message.
        what: &'static str,
        /// Reason why the record cannot be decoded.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The write succeeded, but the invalidation of published tokens or cache entries in Redis
    /// failed. The write returns this error in [`super::Written`]; servers retry the invalidation.
    #[error(
        "the change is stored, but its Redis invalidation failed; servers retry it until it succeeds"
    )]
    Invalidation(#[source] Box<dyn Error + Send + Sync>),
    /// The file of the embedded store does not exist. Contains its absolute path.
    #[error(
        "there is no store at {}: check store.path and --config; the server, and commands that add or \
         import records, create a store",
        .0.display()
    )]
    Missing(PathBuf),
    /// A setting of the store is invalid, and remains so until it is changed. Contains a sentence
    /// for the operator that names the setting.
    #[error("{0}")]
    Configuration(String),
    /// The store cannot be opened now: its file, or the server. Contains a sentence for the
    /// operator that says why.
    #[error("{0}")]
    Open(String),
}

impl StoreError {
    /// Creates a [`Self::Unavailable`] error that has `source` as its cause.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// Returns whether a write that failed with this error may have taken effect, or may still do
    /// so. True for [`Self::Unavailable`], which does not tell an unreachable backend from one that
    /// did not answer.
    pub const fn may_be_done(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Creates a [`Self::Corrupt`] error for a record of kind `what`, which cannot be decoded
    /// because of `source`.
    pub fn corrupt(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt { what, source: source.into() }
    }
}
