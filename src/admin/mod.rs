//! Operations of the operator on users, clients and sessions, shared by the command line, the
//! management page and the API. Password hashing is not here: the operations take hashes.

mod audit;
mod bulk;
mod clients;
pub mod json;
mod listing;
mod users;
mod versions;

use std::sync::Arc;

pub use bulk::{ImportResult, ImportedClient, ImportedUser};
pub use clients::{ClientChange, NewClient};
pub use listing::ListPage;
pub use users::{NewUser, UserChange};
pub use versions::Versions;

use audit::AuditSubject;

use crate::domain::{Clock, InvalidUsername, Session, SessionId, Timestamp};
use crate::store::{Page, SessionFilter, StoreError, Stores};

/// Maximum number of attempts when the same record is changed concurrently.
const ATTEMPTS: usize = 20;

/// Errors of the operations.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another user has this name.
    #[error("there is already a user called {0:?}")]
    NameTaken(String),
    /// The user name is not valid.
    #[error(transparent)]
    InvalidUsername(#[from] InvalidUsername),
    /// No such record exists.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// Kind of the record: user, client or session.
        what: &'static str,
        /// The name or id that was looked for.
        name: String,
    },
    /// The operation or the value is not valid for this record.
    #[error("{0}")]
    Invalid(&'static str),
    /// The record has none of the versions given by [`Versions`].
    #[error("the record was changed in the meantime")]
    OtherVersion,
    /// Concurrent changes of the same record did not stop within the maximum number of attempts.
    #[error("the record was changed by others at the same time; try again")]
    Contended,
    /// The store failed. With [`StoreError::Invalidation`] the change is stored, but its Redis
    /// invalidation failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    /// Returns whether the change may have been made despite the error, or may still be made.
    pub const fn may_be_done(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_be_done())
    }
}

/// The operator's operations on one set of stores.
#[derive(Clone)]
pub struct Admin {
    stores: Stores,
    clock: Arc<dyn Clock>,
}

impl Admin {
    /// Creates the operations on `stores`.
    pub fn new(stores: Stores, clock: Arc<dyn Clock>) -> Self {
        Self { stores, clock }
    }

    /// Lists sessions in the order of their ids.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<ListPage<Session>, AdminError> {
        let page_ahead = ListPage::<Session>::look_ahead(page);
        let found = self.stores.listing.list_sessions(filter, &page_ahead).await?;
        Ok(ListPage::of(found, page, |session| session.id.to_string()))
    }

    /// Returns the filter for the sessions of a user, given by name or id, and of a client. `None`
    /// does not limit the filter. An unknown user or client is an error: it is rather a mistyped
    /// name than one without sessions.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when the user or the client does not exist, [`AdminError::Store`]
    /// when the store fails.
    pub async fn session_filter(
        &self,
        user: Option<&str>,
        client: Option<&str>,
    ) -> Result<SessionFilter, AdminError> {
        let mut filter = SessionFilter::default();
        if let Some(name) = user {
            filter.user = Some(self.user(name).await?.id);
        }
        if let Some(id) = client {
            filter.client = Some(self.client(id).await?.id);
        }
        Ok(filter)
    }

    /// Lists sessions that have a live token, in the order of their ids. The store keeps expired
    /// sessions until they are purged.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn live_sessions(
        &self,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<ListPage<Session>, AdminError> {
        let alive = SessionFilter { alive_at: Some(self.clock.now()), ..filter.clone() };
        self.sessions(&alive, page).await
    }

    /// Returns the session with this id if it has a live token.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when it does not exist or has none, [`AdminError::Store`] when the
    /// store fails.
    pub async fn live_session(&self, id: SessionId) -> Result<Session, AdminError> {
        let found = self.stores.sessions.find(id).await?;
        let found = found.filter(|session| self.clock.now() < session.expires_at());
        found.ok_or_else(|| AdminError::NotFound { what: "session", name: id.to_string() })
    }

    /// Returns the current time of the clock that decides whether sessions are alive and dates
    /// changes.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the number of sessions that have a live token, counted up to `limit`.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn count_sessions(&self, limit: u32) -> Result<u64, AdminError> {
        Ok(self.stores.listing.count_sessions(self.clock.now(), limit).await?)
    }

    /// Checks that the store is reachable and, if Redis is configured, that Redis is.
    pub async fn health(&self) -> (Result<(), StoreError>, Option<Result<(), StoreError>>) {
        let cache = async {
            match &self.stores.publisher {
                Some(publisher) => Some(publisher.check_cache().await),
                None => None,
            }
        };
        futures_util::join!(self.stores.health.check(), cache)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when it does not exist, [`AdminError::Store`] when the store fails.
    pub async fn end_session(&self, id: SessionId) -> Result<(), AdminError> {
        let ending = self.stores.sessions.delete(id).await;
        let ended = AuditSubject::session(id).confirm("session_ended", ending)?;
        if ended.value {
            tracing::info!(target: "audit", event = "session_ended", session = %id);
        }
        if !ended.into_result()? {
            return Err(AdminError::NotFound { what: "session", name: id.to_string() });
        }
        Ok(())
    }

    /// Ends all sessions that match the filter and returns their number.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn end_sessions(&self, filter: &SessionFilter) -> Result<u64, AdminError> {
        let subject =
            AuditSubject { user: filter.user, client: filter.client.as_ref(), session: None };
        let ended =
            subject.confirm("sessions_ended", self.stores.sessions.delete_all(filter).await)?;
        tracing::info!(
            target: "audit", event = "sessions_ended", ended = ended.value,
            user = filter.user.map(|id| id.to_string()),
            client = filter.client.as_ref().map(ToString::to_string),
        );
        Ok(ended.into_result()?)
    }
}
