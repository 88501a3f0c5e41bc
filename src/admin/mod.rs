//! What an operator does: users, clients and their sessions. The command line, the page and the API
//! are faces of this module. It hashes nothing: it takes hashes.

mod audit;
mod bulk;
mod clients;
mod users;
mod versions;

use std::sync::Arc;

pub use bulk::{Imported, ImportedClient, ImportedUser};
pub use clients::{ClientChange, NewClient};
pub use users::{NewUser, UserChange};
pub use versions::Versions;

use audit::Of;

use crate::domain::{Clock, InvalidUsername, Session, SessionId, Timestamp};
use crate::store::{Page, SessionFilter, StoreError, Stores, apart, told};

/// How often a change is tried again because somebody else changed the same record.
const ATTEMPTS: usize = 20;

/// An operation was refused.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another user has this name.
    #[error("there is already a user called {0:?}")]
    NameTaken(String),
    /// The name cannot be one.
    #[error(transparent)]
    InvalidUsername(#[from] InvalidUsername),
    /// There is no such thing.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// User, client or session.
        what: &'static str,
        /// As it was asked for.
        name: String,
    },
    /// What is asked for makes no sense for this client.
    #[error("{0}")]
    Invalid(&'static str),
    /// The record has another version than the change is meant for.
    #[error("the record has changed")]
    OtherVersion,
    /// Others kept changing the same record.
    #[error("others keep changing the same record")]
    Contended,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    /// Whether a change that failed so may have been made all the same, or may yet.
    pub const fn may_be_done(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_be_done())
    }
}

/// An operator's hands.
#[derive(Clone)]
pub struct Admin {
    stores: Stores,
    clock: Arc<dyn Clock>,
}

impl Admin {
    /// On these stores.
    pub fn new(stores: Stores, clock: Arc<dyn Clock>) -> Self {
        Self { stores, clock }
    }

    /// Sessions in the order of their ids.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<Vec<Session>, AdminError> {
        Ok(self.stores.sessions.list(filter, page).await?)
    }

    /// A page of the sessions that have a live token. The store keeps the others for a while, until they
    /// are purged; nobody is logged in by them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn live_sessions(
        &self,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<Vec<Session>, AdminError> {
        let alive = SessionFilter { alive_at: Some(self.clock.now()), ..filter.clone() };
        self.sessions(&alive, page).await
    }

    /// The session with this id, if it has a live token.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when there is none, or when the store fails.
    pub async fn live_session(&self, id: SessionId) -> Result<Session, AdminError> {
        let found = self.stores.sessions.find(id).await?;
        let found = found.filter(|session| self.clock.now() < session.expires_at());
        found.ok_or_else(|| AdminError::NotFound { what: "session", name: id.to_string() })
    }

    /// The present moment, by which sessions are alive or over, and which is written into what is changed.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How many sessions have a token that is alive, counted up to `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count_sessions(&self, limit: u32) -> Result<u64, AdminError> {
        Ok(self.stores.sessions.count(self.clock.now(), limit).await?)
    }

    /// Whether the store answers, and whether Redis does, if there is one.
    pub async fn health(&self) -> (Result<(), StoreError>, Option<Result<(), StoreError>>) {
        futures_util::join!(self.stores.health.check(), self.stores.health.check_front())
    }

    /// Ends one session.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when there is none, or when the store fails.
    pub async fn end_session(&self, id: SessionId) -> Result<(), AdminError> {
        let ending = self.stores.sessions.end(id).await;
        let ending = Of::session(id).confirm("session_ended", ending);
        let (ended, untold) = apart(ending, true)?;
        if ended {
            tracing::info!(target: "audit", event = "session_ended", session = %id);
            return Ok(told(untold, ())?);
        }
        Err(AdminError::NotFound { what: "session", name: id.to_string() })
    }

    /// Ends all sessions that the filter lets through; how many there were.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_sessions(&self, filter: &SessionFilter) -> Result<u64, AdminError> {
        let of = Of { user: filter.user, client: filter.client.as_ref(), session: None };
        let ending = of.confirm("sessions_ended", self.stores.sessions.end_all(filter).await);
        let (ended, untold) = apart(ending.map(Some), None)?;
        tracing::info!(
            target: "audit", event = "sessions_ended", ended,
            user = filter.user.map(|id| id.to_string()),
            client = filter.client.as_ref().map(ToString::to_string),
        );
        Ok(told(untold, ended.unwrap_or_default())?)
    }
}
