//! Records of what was imported from another server, and the imported access tokens, which do not
//! name their session.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::{Page, Result, Stores};
use crate::domain::{Digest, SessionId, Timestamp};

/// Prefix of the keys that record which sessions contain imported tokens.
const SESSIONS: &str = "sessions/";
/// Maximum number of import records (keys of imported records) that are read at a time.
const BATCH: u32 = 100;

/// Storage of import records (keys of records imported from another server) and of imported access
/// tokens.
#[async_trait]
pub trait ImportStore: Send + Sync {
    /// Returns whether an import record with this key exists: the record that the key names was
    /// imported, even if it was changed or deleted in this store since.
    async fn is_imported(&self, key: &str) -> Result<bool>;

    /// Returns those of the keys for which an import record exists.
    async fn filter_imported(&self, keys: &[String]) -> Result<HashSet<String>>;

    /// Stores import records with these keys in one write. After an error, any of them may be
    /// stored.
    async fn record_imports(&self, keys: &[String]) -> Result<()>;

    /// Stores an import record with this key, which says that the record that the key names was
    /// imported.
    async fn record_import(&self, key: &str) -> Result<()>;

    /// Deletes the import record with this key (note that the record of this key was imported).
    async fn delete_import_record(&self, key: &str) -> Result<()>;

    /// Returns a page of the keys of all import records (of all imported records), in key order.
    async fn list_import_records(&self, page: &Page) -> Result<Vec<String>>;

    /// Adds an imported access token, which does not name its session. `access` is the digest of
    /// the token. The store may delete the token after `expires_at`.
    async fn add_legacy_token(
        &self,
        access: &Digest,
        session: SessionId,
        expires_at: Timestamp,
    ) -> Result<()>;

    /// Returns the session of the imported access token with the digest `access`, or `None` if the
    /// store has no such token. The session may have ended or may no longer contain the token.
    async fn find_legacy_token(&self, access: &Digest) -> Result<Option<SessionId>>;

    /// Returns up to `limit` imported access tokens in the order of their digests, starting after
    /// the digest `after`.
    async fn list_legacy_tokens(
        &self,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<LegacyToken>>;
}

/// Imported access token. Unlike Sentinel's own tokens, the token does not name its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyToken {
    /// Digest of the access token.
    pub access: Digest,
    /// Session to which the access token belongs.
    pub session: SessionId,
    /// Time at which the access token expires.
    pub expires_at: Timestamp,
}

/// Records that a session contains imported tokens. The session must be in the store already:
/// [`purge_session_records`] deletes the import records of sessions that do not exist.
///
/// # Errors
/// [`super::StoreError`] if the store fails.
pub async fn record_session(stores: &Stores, session: SessionId) -> Result<()> {
    stores.imports.record_import(&format!("{SESSIONS}{session}")).await
}

/// Returns whether a session with imported tokens may still exist: whether the import record of any
/// session is left.
///
/// # Errors
/// [`super::StoreError`] if the store fails.
pub async fn may_have_sessions(stores: &Stores) -> Result<bool> {
    Ok(!session_records(stores, SESSIONS.to_owned(), 1).await?.is_empty())
}

/// Deletes the import records of expired or missing sessions in key order, up to the first session
/// that is alive. Later records can stay, since [`may_have_sessions`] needs only one.
///
/// # Errors
/// [`super::StoreError`] if the store fails.
pub async fn purge_session_records(stores: &Stores, now: Timestamp) -> Result<()> {
    let mut after = SESSIONS.to_owned();
    loop {
        let records = session_records(stores, after, BATCH).await?;
        let mut expired = Vec::new();
        for key in &records {
            if is_alive(stores, key, now).await? {
                break;
            }
            expired.push(key);
        }
        // Concurrently, so that the deletions share a commit.
        try_join_all(expired.iter().map(|key| stores.imports.delete_import_record(key))).await?;
        match records.last() {
            Some(last) if expired.len() == records.len() => after = last.clone(),
            _ => return Ok(()),
        }
    }
}

/// Returns the keys of up to `limit` import records of sessions, starting after the key `after`.
async fn session_records(stores: &Stores, after: String, limit: u32) -> Result<Vec<String>> {
    let page = Page { cursor: Some(after), limit };
    let mut records = stores.imports.list_import_records(&page).await?;
    records.retain(|key| key.starts_with(SESSIONS));
    Ok(records)
}

async fn is_alive(stores: &Stores, key: &str, now: Timestamp) -> Result<bool> {
    let Some(Ok(id)) = key.strip_prefix(SESSIONS).map(str::parse) else { return Ok(false) };
    let session = stores.sessions.find(id).await?;
    Ok(session.is_some_and(|session| now < session.expires_at()))
}
