//! What was taken over from another server: which records, and the access tokens that name no session.

use async_trait::async_trait;

use futures_util::future::try_join_all;

use super::{Page, Result, Stores};
use crate::domain::{Digest, SessionId, Timestamp};

/// What the notes begin with that stand for sessions of tokens that were taken over.
const SESSIONS: &str = "sessions/";
/// How many of them are looked at together.
const BATCH: u32 = 100;

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

/// Notes that a session has tokens that were taken over. It is to be in the store already: what is noted of
/// one that is not is forgotten again.
///
/// # Errors
/// When the store fails.
pub async fn note_session(stores: &Stores, session: SessionId) -> Result<()> {
    stores.imports.note_imported(&format!("{SESSIONS}{session}")).await
}

/// Whether there may be a session left that has such tokens.
///
/// # Errors
/// When the store fails.
pub async fn may_have_sessions(stores: &Stores) -> Result<bool> {
    Ok(!noted(stores, SESSIONS.to_owned(), 1).await?.is_empty())
}

/// Forgets the sessions that are over, up to the first one that is not: it is enough to know of one.
///
/// # Errors
/// When the store fails.
pub async fn forget_sessions_over(stores: &Stores, now: Timestamp) -> Result<()> {
    let mut after = SESSIONS.to_owned();
    loop {
        let noted = noted(stores, after, BATCH).await?;
        let mut over = Vec::new();
        for key in &noted {
            if is_alive(stores, key, now).await? {
                break;
            }
            over.push(key);
        }
        // All at once, so that they share a commit.
        try_join_all(over.iter().map(|key| stores.imports.forget_imported(key))).await?;
        match noted.last() {
            Some(last) if over.len() == noted.len() => after = last.clone(),
            _ => return Ok(()),
        }
    }
}

/// The first notes of sessions behind this key.
async fn noted(stores: &Stores, after: String, limit: u32) -> Result<Vec<String>> {
    let page = Page { after: Some(after), limit };
    let mut noted = stores.imports.list_imported(&page).await?;
    noted.retain(|key| key.starts_with(SESSIONS));
    Ok(noted)
}

async fn is_alive(stores: &Stores, key: &str, now: Timestamp) -> Result<bool> {
    let Some(Ok(id)) = key.strip_prefix(SESSIONS).map(str::parse) else { return Ok(false) };
    let session = stores.sessions.find(id).await?;
    Ok(session.is_some_and(|session| now < session.expires_at()))
}
