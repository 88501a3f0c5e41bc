//! Persistence of users, clients and sessions: narrow traits, and the backends that implement them.
//!
//! An operation that must be atomic is one method. Time is an argument. The three traits receive
//! tokens and client secrets as digests only. Every backend passes one contract suite,
//! `tests/it/store_contract.rs`. The rules of refresh and revocation are not here; see
//! `domain::Session` and `oauth`.
//!
//! A method returns [`StoreError::Unavailable`] if the backend fails or does not answer in time,
//! [`StoreError::Busy`] if too many operations are waiting, and [`StoreError::Damaged`] if a record
//! cannot be decoded. A write after which Redis must be invalidated returns [`Written`]: its result,
//! and whether the invalidation succeeded.

mod attempts;
pub mod connect;
pub mod copying;
mod counter;
mod error;
mod health;
pub mod imports;
mod measured;
pub mod mongo;
pub mod pem;
mod prefix;
mod publisher;
pub mod redis;
pub mod sqlite;
mod written;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;

pub use attempts::{Added, AttemptStore, MemoryAttempts};
pub use error::StoreError;
pub use health::Health;
pub use imports::{Alias, ImportStore};
pub use publisher::{DeliveryError, Loss, Losses, Lost, Publisher};
pub use written::Written;

use crate::domain::{
    Client, ClientId, Digest, PasswordHash, Session, SessionId, Timestamp, User, UserId,
};

/// Result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// One page of a sorted list, given by cursor and page size.
#[derive(Clone, Debug)]
pub struct Page {
    /// Cursor: the page starts after this key (user name, client id, session id or key of an import
    /// record). `None` for the first page.
    pub after: Option<String>,
    /// Maximum number of entries in the page.
    pub limit: u32,
}

impl Page {
    /// Returns the first page.
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
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

    /// Adds many users, each as [`Self::insert`] does. Of several users with the same name or id,
    /// one is added. Returns for each user, in the given order, whether it was added. After an
    /// error, any of them may have been added.
    async fn insert_many(&self, users: &[User]) -> Result<Vec<bool>> {
        try_join_all(users.iter().map(|user| self.insert(user))).await
    }

    /// Returns the user with this id.
    async fn find(&self, id: UserId) -> Result<Option<User>>;

    /// Returns the user with exactly this name, compared byte by byte.
    async fn find_by_name(&self, username: &str) -> Result<Option<User>>;

    /// Returns a page of all users in the order of their names.
    async fn list(&self, page: &Page) -> Result<Vec<User>> {
        self.search("", page).await
    }

    /// Returns a page of the users whose names begin with `prefix`, compared byte by byte, in the
    /// order of their names.
    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<User>>;

    /// Returns the number of users, counted up to `limit`.
    async fn count(&self, limit: u32) -> Result<u64>;

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

    /// Returns up to `limit` password hashes that begin with none of `beginnings`, with the ids of
    /// their users, in the order of these ids, starting after the id `after`. An implementation may
    /// read all users, but must not block an I/O thread.
    async fn passwords_unlike(
        &self,
        beginnings: &[String],
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, PasswordHash)>>;

    /// Deletes a user and ends the user's sessions. Returns `false` if the user does not exist.
    async fn delete(&self, id: UserId) -> Result<Written<bool>>;

    /// Deletes a user and ends the user's sessions, but only in this version. Returns `false` if
    /// the user has another version or does not exist.
    async fn delete_version(&self, id: UserId, version: u64) -> Result<Written<bool>>;

    /// Writes a user unchanged, replaces any stored version of it, and ends no session. Returns
    /// `false`, and writes nothing, if another user has the name. For store copies ([`copying`])
    /// only.
    async fn put(&self, user: &User) -> Result<bool>;
}

/// Storage of clients.
#[async_trait]
pub trait ClientStore: Send + Sync {
    /// Adds a client. Returns `false`, and writes nothing, if the id is taken.
    async fn insert(&self, client: &Client) -> Result<bool>;

    /// Returns the client with this id.
    async fn find(&self, id: &ClientId) -> Result<Option<Client>>;

    /// Returns a page of all clients in the order of their ids.
    async fn list(&self, page: &Page) -> Result<Vec<Client>> {
        self.search("", page).await
    }

    /// Returns a page of the clients whose ids or names begin with `prefix`, compared byte by byte,
    /// in the order of their ids.
    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<Client>>;

    /// Returns the number of clients, counted up to `limit`.
    async fn count(&self, limit: u32) -> Result<u64>;

    /// Replaces version `client.version - 1` of the client, and ends its sessions of every other
    /// generation, with the same guarantee as [`UserStore::update`].
    async fn update(&self, client: &Client) -> Result<Written<Update>>;

    /// Deletes a client and ends its sessions. Returns `false` if the client does not exist.
    async fn delete(&self, id: &ClientId) -> Result<Written<bool>>;

    /// Deletes a client and ends its sessions, but only in this version. Returns `false` if the
    /// client has another version or does not exist.
    async fn delete_version(&self, id: &ClientId, version: u64) -> Result<Written<bool>>;

    /// Writes a client unchanged, replaces any stored version of it, and ends no session. For store
    /// copies ([`copying`]) only.
    async fn put(&self, client: &Client) -> Result<()>;
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
    /// writers.
    async fn find(&self, id: SessionId) -> Result<Option<Session>>;

    /// Returns the session for a check of the access token with the digest `access`. The result may
    /// lack the session's refresh tokens.
    async fn find_access(&self, id: SessionId, access: &Digest) -> Result<Option<Session>> {
        let _ = access;
        self.find(id).await
    }

    /// Returns the session for a client that was authenticated earlier, after checking in the same
    /// look-up that the stored client is still `caller`. `access` is the digest of the access token
    /// if only that token is checked; the result may then lack the refresh tokens, as in
    /// [`Self::find_access`].
    async fn find_for(
        &self,
        id: SessionId,
        access: Option<&Digest>,
        caller: &Client,
    ) -> Result<Seen>;

    /// Replaces version `session.version - 1` of the session (compare-and-swap). Returns `false`,
    /// and writes nothing, if the stored version is another one or the session has ended.
    async fn replace(&self, session: &Session) -> Result<bool>;

    /// Returns whether this version of the session is current and durable. A look-up may return a
    /// write of another process that is not yet acknowledged and that a failover can still undo. A
    /// caller that answers with what it read, and writes nothing, must call this first. With Redis,
    /// also repeats the invalidation of the session.
    async fn settle(&self, id: SessionId, version: u64) -> Result<Written<bool>>;

    /// Replaces a session as [`Self::replace`] does, for a version that lacks an access token that
    /// is alive in the version before. A store that records pending invalidations ([`Loss`]) adds
    /// one in the same write.
    async fn replace_losing(&self, session: &Session) -> Result<Written<bool>>;

    /// Ends a session. Returns `false` if it does not exist.
    async fn end(&self, id: SessionId) -> Result<Written<bool>>;

    /// Ends all sessions that match the filter. Returns their number.
    async fn end_all(&self, filter: &SessionFilter) -> Result<Written<u64>>;

    /// Returns a page of the sessions that match the filter, in the order of their ids.
    async fn list(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>>;

    /// Returns a page of all sessions in the order of their ids. Logs and skips sessions that
    /// cannot be decoded. For tasks that process each session on its own.
    async fn list_sound(&self, page: &Page) -> Result<Vec<Session>>;

    /// Returns the number of sessions with a token that is alive at `now`, counted up to `limit`.
    async fn count(&self, now: Timestamp, limit: u32) -> Result<u64>;

    /// Deletes up to `limit` sessions whose last token had expired at `now`. Returns their number.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64>;

    /// Writes a session unchanged, replaces any stored version of it, and does not check its user
    /// or client. For store copies ([`copying`]) only.
    async fn put(&self, session: &Session) -> Result<()>;
}

/// Result of [`SessionStore::find_for`].
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The client is unchanged. Contains the session, if it exists.
    Session(Option<Box<Session>>),
    /// The client was changed or deleted. The caller must look it up again.
    OtherCaller,
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
    /// Reachability check of the backend.
    pub health: Arc<dyn Health>,
    /// Publisher of access tokens, which also delivers invalidations. `None` if Redis holds neither
    /// published tokens nor a cache.
    pub publisher: Option<Arc<dyn Publisher>>,
    /// Counters of failed attempts, and known devices.
    pub attempts: Arc<dyn AttemptStore>,
}

impl Stores {
    /// Creates the stores from one backend, as [`Self::shared`] does.
    pub fn of<S: UserStore + ClientStore + SessionStore + ImportStore + Health + 'static>(
        store: S,
    ) -> Self {
        Self::shared(Arc::new(store))
    }

    /// Creates the stores from a backend that others hold too. They have no publisher and count
    /// failed attempts in memory.
    pub fn shared<S>(store: Arc<S>) -> Self
    where
        S: UserStore + ClientStore + SessionStore + ImportStore + Health + 'static,
    {
        Self {
            users: Arc::<S>::clone(&store),
            clients: Arc::<S>::clone(&store),
            sessions: Arc::<S>::clone(&store),
            imports: Arc::<S>::clone(&store),
            health: store,
            publisher: None,
            attempts: Arc::new(MemoryAttempts::new()),
        }
    }
}
