//! What others are told of access tokens, and how it is taken back.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use super::Result;
use crate::domain::{ClientId, Digest, Session, SessionId};

/// Notes, with the writes that take them away, which sessions have lost access tokens and which clients
/// have changed: what others were told of them has to be taken back, even if the process that wrote is
/// not there to do it. A store notes losses only if it was told to.
#[async_trait]
pub trait Losses: Send + Sync {
    /// Up to `limit` losses that have not been cleared, in the order of their marks, behind those with the
    /// mark `after`; many may have one mark.
    async fn losses(&self, after: Option<i64>, limit: u32) -> Result<Vec<Loss>>;

    /// Forgets losses, unless they have been noted anew.
    async fn clear(&self, losses: &[Loss]) -> Result<()>;
}

/// Something that others may still believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Which noting this is.
    pub mark: i64,
    /// What has changed.
    pub of: Lost,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A session has ended, has lost an access token, or has another user name.
    Session(SessionId),
    /// A client has changed or is gone.
    Client(ClientId),
}

/// Tells resource servers of access tokens, so that they need not ask.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Whether publishing is known to fail at this moment. Asks nobody.
    fn can_publish(&self) -> Result<()>;

    /// Publishes an access token of a session that the store holds, until the token expires, in
    /// `expires_in`; nothing, if the session or the token has ended meanwhile. Once somebody has been
    /// answered that it ended, it is not published any more.
    async fn publish(
        &self,
        session: &Session,
        token: &SecretString,
        access: &Digest,
        expires_in: Duration,
    ) -> Result<()>;

    /// Takes back what others, or this process, could not take back; `false` when it is known that nobody can be
    /// told at this moment, which who needs it done must look at. To be called all the time.
    async fn catch_up(&self) -> Result<bool>;
}
