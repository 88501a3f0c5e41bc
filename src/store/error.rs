//! Errors of the stores, and functions that separate a failed invalidation from a failed write.

use std::error::Error;

/// Error of a store operation. No variant says anything about the validity of a token or a
/// password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The backend failed or cannot be reached. The operation may succeed later.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// Too many operations are waiting in the store.
    #[error("the store is too busy")]
    Busy,
    /// A stored record cannot be decoded.
    #[error("the store holds a damaged {what}")]
    Damaged {
        /// Kind of the record, for the message.
        what: &'static str,
        /// Reason why the record cannot be decoded.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The write succeeded, but the invalidation of published tokens or cache entries in Redis
    /// failed. Servers repeat the invalidation until it succeeds.
    #[error("it is done, but Redis could not be told; servers try that again until it is")]
    Untold(#[source] Box<dyn Error + Send + Sync>),
    /// The store cannot be opened as configured. Contains a sentence for the operator.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// Creates an [`Self::Unavailable`] with this cause.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// Creates an [`Self::Untold`] with this cause.
    pub fn untold(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Untold(source.into())
    }

    /// Converts an error that occurred after a successful write to [`Self::Untold`], since only the
    /// invalidation can have failed.
    #[must_use]
    pub fn after_the_write(self) -> Self {
        match self {
            Self::Untold(_) => self,
            error => Self::untold(error),
        }
    }

    /// Returns whether the failed write may have taken effect, or may still do so. True for
    /// [`Self::Unavailable`], which does not tell an unreachable backend from one that did not
    /// answer.
    pub const fn may_be_done(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Creates a [`Self::Damaged`] for a record of kind `what` with this cause.
    pub fn damaged(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Damaged { what, source: source.into() }
    }
}

/// Separates the result of a write from a failed Redis invalidation. For [`StoreError::Untold`],
/// returns `done` as the result, with the error beside it.
///
/// # Errors
/// Every other error of the write.
pub fn apart<T>(
    result: Result<T, StoreError>,
    done: T,
) -> Result<(T, Option<StoreError>), StoreError> {
    match result {
        Err(error @ StoreError::Untold(_)) => Ok((done, Some(error))),
        result => Ok((result?, None)),
    }
}

/// Returns `done`, unless the invalidation failed. Callers use this after they have written the
/// audit event of the change.
///
/// # Errors
/// The [`StoreError::Untold`] that [`apart`] returned.
pub fn told<T>(untold: Option<StoreError>, done: T) -> Result<T, StoreError> {
    untold.map_or(Ok(done), Err)
}
