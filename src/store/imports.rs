//! What was taken over from another server: which records, and the access tokens that name no session.

use async_trait::async_trait;

use super::{Page, Result};
use crate::domain::{Digest, SessionId, Timestamp};

/// Remembers what was taken over from another server.
#[async_trait]
pub trait ImportStore: Send + Sync {
    /// Whether the record with this key was taken over, whatever became of it here.
    async fn is_imported(&self, key: &str) -> Result<bool>;

    /// Notes that it was.
    async fn note_imported(&self, key: &str) -> Result<()>;

    /// Takes the note back.
    async fn forget_imported(&self, key: &str) -> Result<()>;

    /// The keys of all that was noted, in their order.
    async fn list_imported(&self, page: &Page) -> Result<Vec<String>>;

    /// Makes an access token that does not name its session known until it expires.
    async fn add_alias(
        &self,
        access: &Digest,
        session: SessionId,
        expires_at: Timestamp,
    ) -> Result<()>;

    /// The session of such a token. It may have ended, or lost the token.
    async fn find_alias(&self, access: &Digest) -> Result<Option<SessionId>>;

    /// Such tokens behind `after`, in the order of their digests.
    async fn list_aliases(&self, after: Option<&Digest>, limit: u32) -> Result<Vec<Alias>>;
}

/// An access token that does not name its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The digest that it is known by.
    pub access: Digest,
    /// Its session.
    pub session: SessionId,
    /// When the token ends.
    pub expires_at: Timestamp,
}
