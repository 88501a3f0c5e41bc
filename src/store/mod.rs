//! Persistence of users, clients and sessions: narrow traits, and the backends that implement them.
//!
//! An operation that must be atomic is one method. Time is an argument. The traits receive tokens
//! and client secrets as digests only. Every backend passes one contract suite,
//! `tests/it/store_contract.rs`. The rules of refresh and revocation are not here; see
//! `domain::Session` and `oauth`.
//!
//! A method returns [`StoreError::Unavailable`] if the backend fails or does not answer in time,
//! [`StoreError::Busy`] if too many operations are waiting, and [`StoreError::Corrupt`] if a record
//! cannot be decoded. A write after which Redis must be invalidated returns [`Written`]: its
//! result, and whether the invalidation succeeded.

pub mod connect;
pub mod copying;
mod error;
mod health;
pub mod imports;
mod measured;
pub mod mongo;
mod packed_session;
pub mod pem;
mod prefix;
mod publisher;
mod rate_limit_store;
pub mod redis;
pub mod sqlite;
mod stored_counters;
mod written;

use std::sync::Arc;

use async_trait::async_trait;

pub use error::StoreError;
pub use health::Health;
pub use imports::{ImportStore, LegacyToken};
pub use publisher::{DeliveryError, Invalidation, InvalidationTarget, Outbox, Publisher};
pub use rate_limit_store::{AddResult, MemoryRateLimitStore, RateLimitStore};
pub use written::Written;

use crate::domain::{
    Client, ClientId, Digest, PasswordHash, Session, SessionId, Timestamp, User, UserId,
};

/// Result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// One page of a sorted list, given by cursor and page size.
#[derive(Clone, Debug)]
pub struct Page {
    /// The page starts after this key (user name, client id, session id or key of an import
    /// record). `None` for the first page.
    pub cursor: Option<String>,
    /// Maximum number of entries in the page.
    pub limit: u32,
}

impl Page {
    /// Returns the first page.
    pub const fn first(limit: u32) -> Self {
        Self { cursor: None, limit }
    }
}

/// Filter for sessions. All conditions that are set must hold.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// Selects the sessions of this user.
    pub user: Option<UserId>,
    /// Selects the sessions of this client.
    pub client: Option<ClientId>,
    /// Selects sessions with a token that is alive at this time. Expired sessions stay in the store
    /// until they are purged.
    pub alive_at: Option<Timestamp>,
}

/// Storage of users.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Adds a user. Returns `false`, and writes nothing, if the name or the id is taken.
    async fn insert(&self, user: &User) -> Result<bool>;

    /// Returns the user with this id.
    async fn find(&self, id: UserId) -> Result<Option<User>>;

    /// Returns the user with exactly this name, compared byte by byte.
    async fn find_by_name(&self, username: &str) -> Result<Option<User>>;

    /// Replaces version `user.version - 1` of the user, copies a new name to the user's sessions,
    /// and ends the user's sessions of every other generation. When this returns [`Update::Done`],
    /// no such session is stored, and no login in progress can still add one.
    async fn update(&self, user: &User) -> Result<Written<Update>>;

    /// Replaces the hash `old` with `new`, a stronger hash of the same password. Ends no session.
    /// Returns `false` if `old` is no longer the user's hash or the user does not exist.
    async fn upgrade_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool>;

    /// Deletes a user and ends the user's sessions: in any version, or only in the given one.
    /// Returns `false` if the user does not exist or has another version.
    async fn delete(&self, id: UserId, version: Option<u64>) -> Result<Written<bool>>;
}

/// Storage of clients.
#[async_trait]
pub trait ClientStore: Send + Sync {
    /// Adds a client. Returns `false`, and writes nothing, if the id is taken.
    async fn insert(&self, client: &Client) -> Result<bool>;

    /// Returns the client with this id.
    async fn find(&self, id: &ClientId) -> Result<Option<Client>>;

    /// Replaces version `client.version - 1` of the client, and ends its sessions of every other
    /// generation, with the same guarantee as [`UserStore::update`].
    async fn update(&self, client: &Client) -> Result<Written<Update>>;

    /// Deletes a client and ends its sessions: in any version, or only in the given one. Returns
    /// `false` if the client does not exist or has another version.
    async fn delete(&self, id: &ClientId, version: Option<u64>) -> Result<Written<bool>>;
}

/// Storage of sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Adds a session if its user and its client are enabled and still have the generations that
    /// the session names. Otherwise adds nothing and returns `false`. The session gets the user's
    /// current name. Until this returns, other callers may see a session that is rejected in the
    /// end.
    async fn insert(&self, session: &Session) -> Result<bool>;

    /// Returns the session with this id. Takes one read by primary key and does not wait for
    /// writers. The result is complete, so it can be replaced.
    async fn find(&self, id: SessionId) -> Result<Option<Session>>;

    /// Returns the session with this id for introspection, which writes nothing. A cache may answer
    /// if `want` names an access token. Otherwise takes the read of [`Self::find`], together with
    /// the check of the caller.
    async fn look_up(&self, id: SessionId, want: Want<'_>) -> Result<CallerLookup>;

    /// Replaces version `session.version - 1` of the session (compare-and-swap). Returns `false`,
    /// and writes nothing, if the stored version is another one or the session has ended.
    /// `revokes_access` says that the new version lacks an access token that is alive in the
    /// version before. The store then records a pending invalidation ([`Invalidation`]) in the same
    /// write.
    async fn replace(&self, session: &Session, revokes_access: bool) -> Result<Written<bool>>;

    /// Returns whether this version of the session is current and durable. A look-up may return a
    /// write of another process that is not yet acknowledged and that a failover can still undo. A
    /// caller that answers with what it read, and writes nothing, must call this first. With Redis,
    /// also repeats the invalidation of the session.
    async fn confirm_durable(&self, id: SessionId, version: u64) -> Result<Written<bool>>;

    /// Ends a session. Returns `false` if it does not exist.
    async fn delete(&self, id: SessionId) -> Result<Written<bool>>;

    /// Ends all sessions that match the filter. Returns their number.
    async fn delete_all(&self, filter: &SessionFilter) -> Result<Written<u64>>;

    /// Deletes up to `limit` sessions whose last token had expired at `now`. Returns their number.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64>;
}

/// Lists, counts and samples, for management and background tasks. They may read a secondary server
/// and may lag behind writes.
#[async_trait]
pub trait StoreListing: Send + Sync {
    /// Returns a page of the users whose names begin with `prefix`, compared byte by byte, in the
    /// order of their names.
    async fn list_users(&self, prefix: &str, page: &Page) -> Result<Vec<User>>;

    /// Returns the number of users, counted up to `limit`.
    async fn count_users(&self, limit: u32) -> Result<u64>;

    /// Returns up to `limit` password hashes that begin with none of `excluded_prefixes`, with the
    /// ids of their users, in the order of these ids, starting after the id `after`. An
    /// implementation may read all users, but must not block an I/O thread.
    async fn sample_password_hashes(
        &self,
        excluded_prefixes: &[String],
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, PasswordHash)>>;

    /// Returns a page of the clients whose ids or names begin with `prefix`, compared byte by byte,
    /// in the order of their ids.
    async fn list_clients(&self, prefix: &str, page: &Page) -> Result<Vec<Client>>;

    /// Returns the number of clients, counted up to `limit`.
    async fn count_clients(&self, limit: u32) -> Result<u64>;

    /// Returns a page of the sessions that match the filter, in the order of their ids.
    async fn list_sessions(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>>;

    /// Returns a page of all sessions in the order of their ids. Logs and skips sessions that
    /// cannot be decoded. For tasks that process each session on its own.
    async fn list_sessions_skipping_corrupt(&self, page: &Page) -> Result<Vec<Session>>;

    /// Returns the number of sessions with a token that is alive at `now`, counted up to `limit`.
    async fn count_sessions(&self, now: Timestamp, limit: u32) -> Result<u64>;
}

/// Writes of imports and store copies ([`copying`]).
#[async_trait]
pub trait StoreTransfer: Send + Sync {
    /// Adds many users, each as [`UserStore::insert`] does. Of several users with the same name or
    /// id, one is added. Returns for each user, in the given order, whether it was added. After an
    /// error, any of them may have been added.
    async fn insert_users(&self, users: &[User]) -> Result<Vec<bool>>;

    /// Writes a user unchanged, replaces any stored version of it, and ends no session. Returns
    /// `false`, and writes nothing, if another user has the name.
    async fn put_user_unchecked(&self, user: &User) -> Result<bool>;

    /// Writes a client unchanged, replaces any stored version of it, and ends no session. After an
    /// error, it may have been written.
    async fn put_client_unchecked(&self, client: &Client) -> Result<()>;

    /// Writes a session unchanged, replaces any stored version of it, and does not check its user
    /// or client. After an error, it may have been written.
    async fn put_session_unchecked(&self, session: &Session) -> Result<()>;
}

/// Conditions of [`SessionStore::look_up`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Want<'a> {
    /// Digest of the access token, if only that token is checked. The result may then lack the
    /// session's refresh tokens.
    pub access: Option<&'a Digest>,
    /// Client that was authenticated earlier. The store checks in the same look-up that its record
    /// is unchanged.
    pub caller: Option<&'a Client>,
}

/// Result of [`SessionStore::look_up`].
#[derive(Clone, Debug, PartialEq)]
pub enum CallerLookup {
    /// The caller is unchanged, or none was given. Contains the session, if it exists.
    Session(Option<Box<Session>>),
    /// The caller was changed or deleted, and must be looked up again.
    CallerChanged,
}

impl CallerLookup {
    /// Returns the session, if it exists and the caller is unchanged.
    pub fn into_session(self) -> Option<Session> {
        match self {
            Self::Session(session) => session.map(|session| *session),
            Self::CallerChanged => None,
        }
    }
}

impl From<Option<Session>> for CallerLookup {
    fn from(session: Option<Session>) -> Self {
        Self::Session(session.map(Box::new))
    }
}

/// Result of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// The update was written.
    Done,
    /// The record does not exist or has another version. The caller must read it again.
    Stale,
    /// Another user has the new name.
    NameTaken,
}

/// Stores of one server.
#[derive(Clone)]
pub struct Stores {
    /// Storage of users.
    pub users: Arc<dyn UserStore>,
    /// Storage of clients.
    pub clients: Arc<dyn ClientStore>,
    /// Storage of sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Storage of import records and imported access tokens.
    pub imports: Arc<dyn ImportStore>,
    /// Lists and counts of users, clients and sessions.
    pub listing: Arc<dyn StoreListing>,
    /// Writes of imports and store copies.
    pub transfer: Arc<dyn StoreTransfer>,
    /// Reachability check of the backend.
    pub health: Arc<dyn Health>,
    /// Publisher of access tokens, which also delivers invalidations. `None` if Redis holds neither
    /// published tokens nor a cache.
    pub publisher: Option<Arc<dyn Publisher>>,
    /// Counters of failed attempts, and known devices.
    pub rate_limits: Arc<dyn RateLimitStore>,
}

impl Stores {
    /// Creates the stores from one backend. They have no publisher and count failed attempts in
    /// memory.
    pub fn of<S>(store: Arc<S>) -> Self
    where
        S: UserStore + ClientStore + SessionStore + ImportStore,
        S: StoreListing + StoreTransfer + Health + 'static,
    {
        Self {
            users: Arc::<S>::clone(&store),
            clients: Arc::<S>::clone(&store),
            sessions: Arc::<S>::clone(&store),
            imports: Arc::<S>::clone(&store),
            listing: Arc::<S>::clone(&store),
            transfer: Arc::<S>::clone(&store),
            health: store,
            publisher: None,
            rate_limits: Arc::new(MemoryRateLimitStore::new()),
        }
    }
}
