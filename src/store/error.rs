//! What can go wrong with a store.

use std::error::Error;

/// A store did not do what it was asked. None of these says anything about a token or a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or failed; it may work again later.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// More writes are waiting than the store takes on.
    #[error("the store is too busy")]
    Busy,
    /// A record is there and cannot be understood.
    #[error("the store holds a damaged {what}")]
    Damaged {
        /// Of what kind the record is.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// What was asked for is done, but what was published of it, or is kept in a cache, could not be
    /// taken back. It is tried again until it has been.
    #[error("it is done, but Redis could not be told; servers try that again until it is")]
    Untold(#[source] Box<dyn Error + Send + Sync>),
    /// The store cannot be opened as it is.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// The store failed for this reason.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// It is done, and Redis could not be told for this reason.
    pub fn untold(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Untold(source.into())
    }

    /// The same error, once what was asked for is done: all that fails from there on is that others
    /// could not be told of it.
    #[must_use]
    pub fn after_the_write(self) -> Self {
        match self {
            Self::Untold(_) => self,
            error => Self::untold(error),
        }
    }

    /// Whether a write that failed so may have taken place all the same, or may yet. Who could not be
    /// reached is not told apart from who did not answer.
    pub const fn may_be_done(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// A record of kind `what` is damaged for this reason.
    pub fn damaged(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Damaged { what, source: source.into() }
    }
}

/// What a store did, apart from that it could not tell Redis of it: `done` stands for the result then.
pub fn apart<T>(
    result: Result<T, StoreError>,
    done: T,
) -> Result<(T, Option<StoreError>), StoreError> {
    match result {
        Err(error @ StoreError::Untold(_)) => Ok((done, Some(error))),
        result => Ok((result?, None)),
    }
}

/// What was done, once it is written down; who asked is to know if Redis has not been told.
pub fn told<T>(untold: Option<StoreError>, done: T) -> Result<T, StoreError> {
    untold.map_or(Ok(done), Err)
}
