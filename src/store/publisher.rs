//! Publication of access tokens, and pending invalidations of what was published or cached.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use super::{LastWrite, Result, StoreError};
use crate::domain::{ClientId, Digest, Session, SessionId};

/// Transactional outbox of Redis invalidations (removals of stale copies). The write that ends or
/// renames a session, removes an access token from it, or changes a client also records a pending
/// invalidation ([`Invalidation`]). So any server can deliver the invalidation if the process that
/// wrote it does not. A store records invalidations only if it was opened with an outbox.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Returns up to `limit` pending Redis invalidations in the order of their revisions (numbers
    /// of the recordings), starting after the revision `after`. Several invalidations may have the
    /// same revision.
    async fn pending(&self, after: Option<i64>, limit: u32) -> Result<Vec<Invalidation>>;

    /// Deletes delivered Redis invalidations from the outbox, except those that were recorded again
    /// since they were read.
    async fn acknowledge(&self, delivered: &[Invalidation]) -> Result<()>;
}

/// Pending Redis invalidation: a removal of stale cache entries or tokens that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// Revision (number that identifies this recording of the invalidation). If the invalidation is
    /// recorded again, it gets another revision.
    pub revision: i64,
    /// Session or client whose stale copies are to be removed from Redis.
    pub target: InvalidationTarget,
}

/// Session or client whose stale copies are to be removed from Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidationTarget {
    /// Session that has ended, has lost an access token, or has got another user name.
    Session(SessionId),
    /// Client that was changed or deleted.
    Client(ClientId),
}

/// Publishes access tokens in Redis, so that resource servers can check them without a call to
/// Sentinel.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Makes a small write to Redis, which Redis refuses if its memory is full, and records its
    /// result in [`Self::last_write`].
    async fn probe(&self) -> Result<()>;

    /// Returns the record of the last write to Redis, by a probe or a publication of this process.
    fn last_write(&self) -> &LastWrite;

    /// Returns whether logins and refreshes fail while Redis accepts no writes, because access
    /// tokens are published. Otherwise Redis is a cache, and the store works without it.
    fn is_required(&self) -> bool;

    /// Returns whether Redis is known to be unavailable. Its outage is logged already.
    fn is_down(&self) -> bool;

    /// Returns an error if Redis is known to be unavailable for publishing. Makes no network call.
    fn can_publish(&self) -> Result<()>;

    /// Publishes `token`, an access token of a stored session, in Redis until the token expires,
    /// after `expires_in`. `access` is the digest of the token. Publishes nothing if the session
    /// has no user, or if the session or the token has ended meanwhile. Once a caller was told that
    /// the token has ended, the token is not published again.
    async fn publish(
        &self,
        session: &Session,
        token: &SecretString,
        access: &Digest,
        expires_in: Duration,
    ) -> Result<()>;

    /// Compares all published tokens with the store, once for each Redis instance: a restarted or
    /// replaced Redis may hold tokens that have ended. Servers call this every second.
    async fn reconcile(&self) -> Result<(), DeliveryError>;

    /// Returns the string keys in Redis that consist of `length` characters, without those that are
    /// not UTF-8. The access tokens of another server may be among them.
    async fn keys_of_length(&self, length: usize) -> Result<BTreeSet<String>>;

    /// Delivers the pending invalidations (removals of stale copies) of all processes to Redis.
    /// Returns `false` if Redis is known to be unreachable; a caller that depends on the delivery
    /// must check this. Servers call this method twice a second.
    async fn deliver_pending(&self) -> Result<bool, DeliveryError>;
}

/// Reason why a pending Redis invalidation could not be delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The store failed to list, check or delete the pending Redis invalidation.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis is unavailable, so no pending invalidation can be delivered.
    #[error("Redis is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// Redis is available and refuses this removal of stale copies. Redis may accept others.
    #[error("Redis refuses the invalidation")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}
