//! Where clients, users and sessions are kept: three narrow traits, and the backends behind them.
//!
//! The traits say what must be atomic by making it one method. Time is an argument; tokens and
//! secrets come as digests. Every backend is held to the same suite, `tests/it/store_contract.rs`.
//! Not here: what a refresh or a revocation means (`domain::Session`, `oauth`).

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

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;

pub use attempts::{Added, AttemptStore, MemoryAttempts};
pub use error::{StoreError, apart, told};
pub use health::Health;
pub use imports::{Alias, ImportStore};
pub use publisher::{Loss, Losses, Lost, Publisher};

use crate::domain::{
    Client, ClientId, Digest, PasswordHash, Session, SessionId, Timestamp, User, UserId,
};

/// What a look-up or a write answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The part of a list that is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    /// Start behind the entry with this key: a user name, a client id, a session id.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
}

impl Page {
    /// The first entries.
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }
}

/// Which sessions to list.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only this client's.
    pub client: Option<ClientId>,
    /// Only those that have a token that is alive then. The store keeps the others until they are purged.
    pub alive_at: Option<Timestamp>,
}

/// Keeps users.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Adds a user; `false` when the name is taken.
    async fn insert(&self, user: &User) -> Result<bool>;

    /// Adds many users, each as [`Self::insert`] would, and of several with the same name or id one; for each, whether
    /// it was added. After an error any of them may have been.
    async fn insert_many(&self, users: &[User]) -> Result<Vec<bool>> {
        try_join_all(users.iter().map(|user| self.insert(user))).await
    }

    /// The user with this id.
    async fn find(&self, id: UserId) -> Result<Option<User>>;

    /// The user with exactly this name.
    async fn find_by_name(&self, username: &str) -> Result<Option<User>>;

    /// Users in the order of their names.
    async fn list(&self, page: &Page) -> Result<Vec<User>> {
        self.search("", page).await
    }

    /// Those whose names begin with `prefix`, compared byte by byte, in the order of their names.
    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<User>>;

    /// How many there are, counted up to `limit`.
    async fn count(&self, limit: u32) -> Result<u64>;

    /// Replaces version `user.version - 1` of the user, and ends the sessions that were started
    /// under another generation: none that was added is left, or can still be added, when this
    /// returns.
    async fn update(&self, user: &User) -> Result<Update>;

    /// Puts a stronger hash of the same password in the place of `old`, and ends no session.
    /// `false` when the password is another one by now.
    async fn upgrade_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool>;

    /// Hashes of users behind `after`, `limit` at most, that begin with none of these, in the order of the
    /// users' ids. It may read all users, off the threads that answer.
    async fn passwords_unlike(
        &self,
        beginnings: &[String],
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, PasswordHash)>>;

    /// Removes a user and ends the user's sessions; `false` when there was none.
    async fn delete(&self, id: UserId) -> Result<bool>;

    /// The same for exactly this version of the user; `false` when there is another one, or none.
    async fn delete_version(&self, id: UserId, version: u64) -> Result<bool>;

    /// Puts a user as it is, in the place of any version of it, and touches no session; `false`, and
    /// nothing is written, when the name is another's. For copies ([`copying`]), not for servers.
    async fn put(&self, user: &User) -> Result<bool>;
}

/// Keeps clients.
#[async_trait]
pub trait ClientStore: Send + Sync {
    /// Adds a client; `false` when the id is taken.
    async fn insert(&self, client: &Client) -> Result<bool>;

    /// The client with this id.
    async fn find(&self, id: &ClientId) -> Result<Option<Client>>;

    /// Clients in the order of their ids.
    async fn list(&self, page: &Page) -> Result<Vec<Client>> {
        self.search("", page).await
    }

    /// Those whose ids or names begin with `prefix`, compared byte by byte, in the order of their ids.
    async fn search(&self, prefix: &str, page: &Page) -> Result<Vec<Client>>;

    /// How many there are, counted up to `limit`.
    async fn count(&self, limit: u32) -> Result<u64>;

    /// Replaces version `client.version - 1` of the client, and ends the sessions that were started
    /// under another generation, as [`UserStore::update`] does.
    async fn update(&self, client: &Client) -> Result<Update>;

    /// Removes a client and ends its sessions; `false` when there was none.
    async fn delete(&self, id: &ClientId) -> Result<bool>;

    /// The same for exactly this version of the client; `false` when there is another one, or none.
    async fn delete_version(&self, id: &ClientId, version: u64) -> Result<bool>;

    /// Puts a client as it is, in the place of any version of it, and touches no session. For copies
    /// ([`copying`]), not for servers.
    async fn put(&self, client: &Client) -> Result<()>;
}

/// Keeps sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Adds a session if its user and its client still are what they were at the login: enabled, and
    /// of the same generation. `false`, and nothing is added, when they are not. Until this returns,
    /// a session that will not be added may be seen.
    async fn insert(&self, session: &Session) -> Result<bool>;

    /// The session with this id. One read by primary key; it waits for no writer.
    async fn find(&self, id: SessionId) -> Result<Option<Session>>;

    /// The same for whoever wants to know about one of its access tokens only, the one with this
    /// digest: the session may come without its refresh tokens.
    async fn find_access(&self, id: SessionId, access: &Digest) -> Result<Option<Session>> {
        let _ = access;
        self.find(id).await
    }

    /// The same for a caller that was found before: one read sees the session, and whether `caller` is
    /// still that client in all it holds. `access` is for whoever wants to know about one access token
    /// only, as in [`Self::find_access`].
    async fn find_for(
        &self,
        id: SessionId,
        access: Option<&Digest>,
        caller: &Client,
    ) -> Result<Seen>;

    /// Replaces version `session.version - 1`; `false`, and nothing is written, when the session has
    /// another version by now or has ended.
    async fn replace(&self, session: &Session) -> Result<bool>;

    /// Whether this version of the session is the current one and sure to last. What a look-up sees
    /// may be the write of another process that is not answered yet, and can still be lost with the
    /// server that took it; whoever answers by it, and writes nothing, has to ask.
    async fn settle(&self, id: SessionId, version: u64) -> Result<bool>;

    /// The same as [`Self::replace`], for a version without an access token that is alive in the version
    /// before: the loss is noted, where losses are, in the same write.
    async fn replace_losing(&self, session: &Session) -> Result<bool>;

    /// Ends a session; `false` when there was none.
    async fn end(&self, id: SessionId) -> Result<bool>;

    /// Ends all sessions that the filter lets through; how many there were.
    async fn end_all(&self, filter: &SessionFilter) -> Result<u64>;

    /// Sessions in the order of their ids.
    async fn list(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>>;

    /// All sessions in the order of their ids, but for those that cannot be read, which are logged and passed
    /// over: for what is done to each of them for itself.
    async fn list_sound(&self, page: &Page) -> Result<Vec<Session>>;

    /// How many have a token that is alive at `now`, counted up to `limit`.
    async fn count(&self, now: Timestamp, limit: u32) -> Result<u64>;

    /// Removes up to `limit` sessions whose last token was over before `now`; how many there were.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64>;

    /// Puts a session as it is, in the place of any version of it, and asks nothing of its user or
    /// client. For copies ([`copying`]), not for servers.
    async fn put(&self, session: &Session) -> Result<()>;
}

/// What a look-up for a caller that was found before has seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The caller is as it was, and this is the session, if there is one.
    Session(Option<Box<Session>>),
    /// The caller has changed, or is gone: find it again.
    OtherCaller,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// It was written.
    Done,
    /// There is no such record, or it has another version: read again.
    Stale,
    /// The new name is taken.
    NameTaken,
}

/// The stores that one server works on.
#[derive(Clone)]
pub struct Stores {
    /// Users.
    pub users: Arc<dyn UserStore>,
    /// Clients.
    pub clients: Arc<dyn ClientStore>,
    /// Sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// What was taken over from another server.
    pub imports: Arc<dyn ImportStore>,
    /// Whether the server behind them answers.
    pub health: Arc<dyn Health>,
    /// Who is to be told of access tokens.
    pub publisher: Option<Arc<dyn Publisher>>,
    /// Who has failed to get in.
    pub attempts: Arc<dyn AttemptStore>,
}

impl Stores {
    /// One store for everything.
    pub fn of<S: UserStore + ClientStore + SessionStore + ImportStore + Health + 'static>(
        store: S,
    ) -> Self {
        Self::shared(Arc::new(store))
    }

    /// The same, for one that others hold too.
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
