//! Operations of the operator on users, clients and sessions, shared by the command line, the
//! management page and the API. Password hashing is not here: the operations take hashes.

mod audit;
mod budgets;
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

use crate::domain::{Clock, InvalidUsername, RandomError, Session, SessionId, Timestamp};
use crate::store::{Page, SessionFilter, StoreError, Stores};

/// Maximum number of attempts to change a record when others change the same record concurrently.
const ATTEMPTS: usize = 20;

/// Errors of the operator's operations on users, clients and sessions.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another user has the user name that was given.
    #[error("there is already a user called {0:?}")]
    NameTaken(String),
    /// A client has the user name as its id, so resource servers could take the user for the
    /// client.
    #[error("there is a client with the id {0:?}; a user must not have the same name")]
    NameOfClient(String),
    /// The user name is not valid.
    #[error(transparent)]
    InvalidUsername(#[from] InvalidUsername),
    /// No user, client or session has the name or id that was given.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// Kind of the record: user, client or session.
        what: &'static str,
        /// Name or id of the record that was looked for.
        name: String,
    },
    /// The operation or a given value is not valid for the record. The text says why.
    #[error("{0}")]
    Invalid(&'static str),
    /// The cursor is not the key of an entry of the list, so the list cannot continue after it.
    #[error("expected the cursor that the preceding page of the list ended with")]
    InvalidCursor,
    /// The record was changed: its version (counter of changes) is not one that the caller allows.
    #[error("the record was changed in the meantime")]
    OtherVersion,
    /// Concurrent changes of the same record did not stop within the maximum number of attempts.
    #[error("the record was changed by others at the same time; try again")]
    Contended,
    /// A new id or secret could not be generated.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The store failed. With [`StoreError::Invalidation`] the change is stored, but its Redis
    /// invalidation (removal of outdated copies) failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    /// Returns whether the change may have been made despite the error, or may still be made.
    pub const fn may_be_done(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_be_done())
    }
}

/// The operator's operations on the users, clients and sessions of one set of stores.
#[derive(Clone)]
pub struct Admin {
    stores: Stores,
    clock: Arc<dyn Clock>,
}

impl Admin {
    /// Creates the operator's operations on `stores`. `clock` dates the changes.
    pub fn new(stores: Stores, clock: Arc<dyn Clock>) -> Self {
        Self { stores, clock }
    }

    /// Returns the page that `page` selects (cursor and size) of the sessions that match `filter`,
    /// in the order of their ids.
    ///
    /// # Errors
    /// [`AdminError::InvalidCursor`] when the cursor is not a session id, [`AdminError::Store`]
    /// when the store fails.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<ListPage<Session>, AdminError> {
        check_session_cursor(page)?;
        let page_ahead = ListPage::<Session>::look_ahead(page);
        let found = self.stores.listing.list_sessions(filter, &page_ahead).await?;
        Ok(ListPage::of(found, page, |session| session.id.to_string()))
    }

    /// Returns the filter for the sessions of a user, given by name or id, and of a client; `None`
    /// matches the sessions of any user or client. An unknown user or client is an error, since the
    /// given name is probably mistyped.
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

    /// Returns the page that `page` selects (cursor and size) of the sessions that match `filter`
    /// and have a live token, in the order of their ids. The store keeps expired sessions until
    /// they are purged.
    ///
    /// # Errors
    /// [`AdminError::InvalidCursor`] when the cursor is not a session id, [`AdminError::Store`]
    /// when the store fails.
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
    /// [`AdminError::NotFound`] when the session does not exist or has no live token,
    /// [`AdminError::Store`] when the store fails.
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

    /// Returns the number of sessions that have a live token, or `limit` if there are more.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn count_sessions(&self, limit: u32) -> Result<u64, AdminError> {
        Ok(self.stores.listing.count_sessions(self.clock.now(), limit).await?)
    }

    /// Returns whether Redis accepted the last write of this server, if it has published tokens or
    /// a cache there. Makes no call.
    pub fn redis_accepts_writes(&self) -> Option<bool> {
        let redis = self.stores.publisher.as_ref()?;
        Some(redis.last_write().is_recent_success())
    }

    /// Ends the session with this id, so that none of its tokens is accepted any more.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when no session has the id, [`AdminError::Store`] when the store
    /// fails.
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

/// Rejects a cursor that is not a session id. A store would ignore it and start the list again,
/// which a caller that reads page by page takes for the next page.
fn check_session_cursor(page: &Page) -> Result<(), AdminError> {
    let is_id = |text: &str| text.parse::<SessionId>().is_ok_and(|id| id.to_string() == text);
    match &page.cursor {
        Some(cursor) if !is_id(cursor) => Err(AdminError::InvalidCursor),
        _ => Ok(()),
    }
}
