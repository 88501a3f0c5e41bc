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
mod principals;
mod publisher;
mod rate_limit_records;
mod rate_limit_store;
pub mod redis;
pub mod sqlite;
mod stored_counters;
mod written;

use std::sync::Arc;

use async_trait::async_trait;

pub use error::StoreError;
pub use health::{Health, LastWrite};
pub use imports::{ImportStore, LegacyToken};
pub use principals::AmbiguousUser;
pub use publisher::{DeliveryError, Invalidation, InvalidationTarget, Outbox, Publisher};
pub use rate_limit_records::{RateLimitOrder, RateLimitRecords, SpentBudget, StoredOrder};
pub(crate) use rate_limit_store::BoundedMap;
pub use rate_limit_store::{AddResult, MemoryRateLimitStore, RateLimitStore};
pub use written::Written;

use crate::domain::{
    Client, ClientId, ClientKind, Digest, PasswordHash, Session, SessionId, StoredSecret,
    Timestamp, User, UserId,
};

/// Result of a store operation, which fails with a [`StoreError`] by default.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Purpose for which the stores are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading only: changes nothing, creates nothing, and does not upgrade an older schema.
    Read,
    /// For reading and writing a store that exists.
    Write,
    /// For reading and writing; an embedded store that does not exist is created.
    Create,
}

/// Request for one page of a sorted list: a cursor (last key before the page) and a page size.
#[derive(Clone, Debug)]
pub struct Page {
    /// Last key before the page (user name, client id, session id or key of an import record).
    /// `None` for the first page of the list.
    pub cursor: Option<String>,
    /// Page size: maximum number of entries in the page.
    pub limit: u32,
}

impl Page {
    /// Creates a request for the first page of a list, with up to `limit` entries.
    pub const fn first(limit: u32) -> Self {
        Self { cursor: None, limit }
    }
}

/// Filter for sessions. A session matches if it satisfies all conditions that are set.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// If set, only sessions of this user match.
    pub user: Option<UserId>,
    /// If set, only sessions of this client match.
    pub client: Option<ClientId>,
    /// If set, only sessions with a token that is alive at this time match. Expired sessions stay
    /// in the store until they are purged.
    pub alive_at: Option<Timestamp>,
}

/// Storage of users (resource owners) with their password hashes.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Adds a user. Returns `false`, and writes nothing, if the user id is taken, or a user has the
    /// same user name ([`username_key`]). Of two concurrent calls with different spellings of one
    /// name, MongoDB may accept both.
    ///
    /// [`username_key`]: crate::domain::username_key
    async fn insert(&self, user: &User) -> Result<bool>;

    /// Returns the user with this id, or `None` if no such user exists.
    async fn find(&self, id: UserId) -> Result<Option<User>>;

    /// Returns all users that have this user name in any spelling ([`username_key`]). There are
    /// several only if an earlier version or an import added them. A record that an earlier version
    /// wrote may be found by its exact spelling only.
    ///
    /// [`username_key`]: crate::domain::username_key
    async fn find_all_by_name(&self, username: &str) -> Result<Vec<User>>;

    /// Returns the user with this user name, or `None` if no such user exists. If several users
    /// have the name in different spellings, returns the one with exactly this spelling.
    async fn find_by_name(&self, username: &str) -> Result<Option<User>> {
        let mut users = self.find_all_by_name(username).await?;
        if users.len() > 1 {
            users.retain(|user| user.username == username);
        }
        Ok(users.pop())
    }

    /// Replaces version `user.version - 1` of the user by `user`, copies a new user name to the
    /// user's sessions, and ends the user's sessions of every other generation (counter that a new
    /// password or disabling increments). When this returns [`Update::Done`], no session of another
    /// generation is stored, and no login in progress can still add one.
    async fn update(&self, user: &User) -> Result<Written<Update>>;

    /// Replaces a user's password hash `old` with `new`, a stronger hash of the same password. Ends
    /// no session. Returns `false` if `old` is no longer the user's hash or the user does not
    /// exist.
    async fn upgrade_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool>;

    /// Deletes a user in the given version, or in any version if `version` is `None`, and ends the
    /// user's sessions. Returns `false` if the user does not exist or has another version.
    async fn delete(&self, id: UserId, version: Option<u64>) -> Result<Written<bool>>;
}

/// Storage of OAuth clients.
#[async_trait]
pub trait ClientStore: Send + Sync {
    /// Adds a client. Returns `false`, and writes nothing, if the client id is taken.
    async fn insert(&self, client: &Client) -> Result<bool>;

    /// Returns the client with this id, or `None` if no such client exists.
    async fn find(&self, id: &ClientId) -> Result<Option<Client>>;

    /// Replaces version `client.version - 1` of the client by `client`, and ends the client's
    /// sessions of every other generation (counter that disabling increments). When this returns
    /// [`Update::Done`], no session of another generation is stored, and no login in progress can
    /// still add one.
    async fn update(&self, client: &Client) -> Result<Written<Update>>;

    /// Replaces a client's stored secret `old` with `new`, a password hash of the same secret.
    /// Ends no session and keeps the version. Returns `false` if `old` is no longer the client's
    /// secret or the client does not exist.
    async fn upgrade_secret(
        &self,
        id: &ClientId,
        old: &StoredSecret,
        new: &PasswordHash,
    ) -> Result<bool>;

    /// Deletes a client in the given version, or in any version if `version` is `None`, and ends
    /// the client's sessions. Returns `false` if the client does not exist or has another version.
    async fn delete(&self, id: &ClientId, version: Option<u64>) -> Result<Written<bool>>;
}

/// Storage of sessions, each with its access tokens and refresh tokens.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Adds a session if its user and its client are enabled and still have the generations
    /// (counters that invalidate older sessions) that the session names. Otherwise adds nothing and
    /// returns `false`. The stored session gets the user's current user name. Until this method
    /// returns, other callers may see a session that is rejected in the end.
    async fn insert(&self, session: &Session) -> Result<bool>;

    /// Returns the session with this id, or `None` if no such session exists. The session has all
    /// its tokens, so that the caller can replace it. Takes one read by primary key and does not
    /// wait for writers.
    async fn find(&self, id: SessionId) -> Result<Option<Session>>;

    /// Returns the session with this id for introspection, which writes nothing. A Redis cache may
    /// answer if `want` names an access token; otherwise takes one read by primary key. If `want`
    /// names a calling client, the same look-up checks that the stored client has not changed.
    async fn look_up(&self, id: SessionId, want: Want<'_>) -> Result<CallerLookup>;

    /// Replaces version `session.version - 1` of the session by `session` (compare-and-swap).
    /// Returns `false`, and writes nothing, if the stored version is another one or the session has
    /// ended. `revokes_access` says that `session` lacks an access token that is alive in the
    /// stored version. The store then records a pending Redis invalidation ([`Invalidation`]) in
    /// the same write.
    async fn replace(&self, session: &Session, revokes_access: bool) -> Result<Written<bool>>;

    /// Returns whether this version of the session is current and durable (cannot be undone by a
    /// failover). A look-up may return a write of another process that is not yet acknowledged. A
    /// caller that answers with data that it read, and writes nothing, must call this first. With
    /// Redis, also removes stale copies of the session from Redis again.
    async fn confirm_durable(&self, id: SessionId, version: u64) -> Result<Written<bool>>;

    /// Ends a session with all its tokens. Returns `false` if the session does not exist.
    async fn delete(&self, id: SessionId) -> Result<Written<bool>>;

    /// Ends all sessions that match the filter. Returns the number of sessions that ended.
    async fn delete_all(&self, filter: &SessionFilter) -> Result<Written<u64>>;

    /// Deletes up to `limit` sessions whose last token had expired at `now`. Returns the number of
    /// deleted sessions.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64>;
}

/// Lists, counts and samples of stored records, for management and background tasks. These reads
/// may go to a secondary server and may lag behind writes.
#[async_trait]
pub trait StoreListing: Send + Sync {
    /// Returns a page of the users whose user names begin with `prefix`. If `prefix` is empty, the
    /// page has the order of the user names, byte by byte. Otherwise it has the order of their keys
    /// ([`username_key`]), and the beginnings of the keys are compared.
    ///
    /// [`username_key`]: crate::domain::username_key
    async fn list_users(&self, prefix: &str, page: &Page) -> Result<Vec<User>>;

    /// Returns a page of the users whose names contain `part`, or of all users if `part` is empty,
    /// in the order of their keys ([`username_key`]). The keys are compared. A search may read the
    /// keys of all users, but must not block an I/O thread.
    ///
    /// [`username_key`]: crate::domain::username_key
    async fn search_users(&self, part: &str, page: &Page) -> Result<Vec<User>>;

    /// Returns users who have the name of another user in another spelling ([`username_key`]), at
    /// most `limit`, in the order of the keys. May read the keys of all users.
    ///
    /// [`username_key`]: crate::domain::username_key
    async fn list_spellings(&self, limit: u32) -> Result<Vec<User>>;

    /// Returns the number of users whose names contain `part` (see [`Self::search_users`]), or
    /// `limit` if there are more.
    async fn count_users(&self, part: &str, limit: u32) -> Result<u64>;

    /// Returns up to `limit` password hashes that begin with none of `excluded_prefixes`, each with
    /// its user's id, in the order of the user ids, starting after the user id `after`. An
    /// implementation may read all users, but must not block an I/O thread.
    async fn sample_password_hashes(
        &self,
        excluded_prefixes: &[String],
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, PasswordHash)>>;

    /// Returns a page of the clients whose ids or names contain `part`, or of all clients if `part`
    /// is empty, in the order of the client ids. Letters of ASCII are compared without regard to
    /// case, all others as they are. A search may read all clients, but must not block an I/O
    /// thread.
    async fn list_clients(&self, part: &str, page: &Page) -> Result<Vec<Client>>;

    /// Returns the number of clients whose ids or names contain `part` (see
    /// [`Self::list_clients`]), or `limit` if there are more.
    async fn count_clients(&self, part: &str, limit: u32) -> Result<u64>;

    /// Returns a page of the sessions that match the filter, in the order of the session ids.
    async fn list_sessions(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>>;

    /// Returns a page of all sessions in the order of the session ids. Logs and skips sessions that
    /// cannot be decoded, for tasks that process each session on its own.
    async fn list_sessions_skipping_corrupt(&self, page: &Page) -> Result<Vec<Session>>;

    /// Returns the number of sessions with a token that is alive at `now`, or `limit` if there are
    /// more.
    async fn count_sessions(&self, now: Timestamp, limit: u32) -> Result<u64>;
}

/// Bulk look-ups, and bulk and unchecked writes, for imports and for copies of a store
/// ([`copying`]).
#[async_trait]
pub trait StoreTransfer: Send + Sync {
    /// Returns those of the clients with these ids that exist, in any order.
    async fn find_clients(&self, ids: &[ClientId]) -> Result<Vec<Client>>;

    /// Adds many users. Returns for each user, in the given order, whether the user was added;
    /// `false` means that the exact user name or the user id is taken. Of several users with the
    /// same user name or id, one is added. Other spellings of a name are accepted. After an error,
    /// any of the users may have been added.
    async fn insert_users(&self, users: &[User]) -> Result<Vec<bool>>;

    /// Writes a user exactly as given, replaces any stored version of the user, and ends no
    /// session. Returns `false`, and writes nothing, if another user has exactly this user name.
    async fn put_user_unchecked(&self, user: &User) -> Result<bool>;

    /// Writes a client exactly as given, replaces any stored version of the client, and ends no
    /// session. After an error, the client may have been written.
    async fn put_client_unchecked(&self, client: &Client) -> Result<()>;

    /// Writes a session exactly as given, replaces any stored version of the session, and does not
    /// check the session's user or client. After an error, the session may have been written.
    async fn put_session_unchecked(&self, session: &Session) -> Result<()>;
}

/// Conditions of the look-up of a session for introspection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want<'a> {
    /// Digest of the access token that is introspected. If set, only this token is checked, and the
    /// returned session may lack its refresh tokens.
    pub access: Option<&'a Digest>,
    /// Client that calls introspection and was authenticated earlier. If set, the store checks in
    /// the same look-up that the client has not changed since.
    pub caller: Option<&'a Client>,
}

/// Result of the look-up of a session for introspection.
#[derive(Clone, Debug, PartialEq)]
pub enum CallerLookup {
    /// The client that calls introspection has not changed since its authentication, or no client
    /// was given. Contains the session, or `None` if the session does not exist.
    Session(Option<Box<Session>>),
    /// The client that calls introspection was changed or deleted since its authentication, so the
    /// caller must look up the client again.
    CallerChanged,
}

impl CallerLookup {
    /// Returns the session, or `None` if there is no session or the calling client has changed.
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

/// Result of an update of a user or client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// The new version of the user or client was written.
    Done,
    /// The user or client does not exist, or its stored version is not the one before the update.
    /// The caller must read the user or client again.
    Stale,
    /// Another user has the new user name, in this or another spelling, so the update was not
    /// written. A user who already had such a name may keep it.
    NameTaken,
}

/// All stores of one server, as trait objects.
#[derive(Clone)]
pub struct Stores {
    /// Storage of users (resource owners) with their password hashes.
    pub users: Arc<dyn UserStore>,
    /// Storage of OAuth clients.
    pub clients: Arc<dyn ClientStore>,
    /// Storage of sessions, each with its access tokens and refresh tokens.
    pub sessions: Arc<dyn SessionStore>,
    /// Storage of import records (keys of records imported from another server) and of imported
    /// access tokens.
    pub imports: Arc<dyn ImportStore>,
    /// Lists and counts of users, clients and sessions.
    pub listing: Arc<dyn StoreListing>,
    /// Bulk look-ups, and bulk and unchecked writes, for imports and for copies of a store.
    pub transfer: Arc<dyn StoreTransfer>,
    /// Name of the backend (database), and the result of the last write to it.
    pub health: Arc<dyn Health>,
    /// Publishes access tokens in Redis for resource servers, and removes stale copies from Redis.
    /// `None` if Redis holds neither published tokens nor a cache.
    pub publisher: Option<Arc<dyn Publisher>>,
    /// Counters of failed authentication attempts, for rate limits.
    pub rate_limits: Arc<dyn RateLimitStore>,
    /// Known devices (pairs of user and address with an earlier successful login), and the spent
    /// budgets of all servers.
    pub rate_limit_records: Arc<dyn RateLimitRecords>,
}

impl Stores {
    /// Returns stores that all use `store` as their backend. They have no publisher of access
    /// tokens and count failed authentication attempts in memory.
    pub fn of<S>(store: Arc<S>) -> Self
    where
        S: UserStore + ClientStore + SessionStore + ImportStore,
        S: StoreListing + StoreTransfer + RateLimitRecords + Health + 'static,
    {
        Self {
            users: Arc::<S>::clone(&store),
            clients: Arc::<S>::clone(&store),
            sessions: Arc::<S>::clone(&store),
            imports: Arc::<S>::clone(&store),
            listing: Arc::<S>::clone(&store),
            transfer: Arc::<S>::clone(&store),
            rate_limit_records: Arc::<S>::clone(&store),
            health: store,
            publisher: None,
            rate_limits: Arc::new(MemoryRateLimitStore::new()),
        }
    }
}

/// Returns the client type for the secret columns of a stored client.
fn client_kind(digest: Option<Digest>, hash: Option<String>) -> ClientKind {
    match (hash, digest) {
        (Some(hash), _) => ClientKind::Confidential(StoredSecret::Hash(PasswordHash::own(hash))),
        (None, Some(digest)) => ClientKind::Confidential(StoredSecret::Digest(digest)),
        (None, None) => ClientKind::Public,
    }
}
