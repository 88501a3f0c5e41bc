//! The BSON document of a session.
//!
//! The document contains the whole session, so that every change of a session is one write. Queries
//! are in `super::sessions`.

use mongodb::bson::{Binary, DateTime, Document, RawDocument, oid::ObjectId};
use serde::{Deserialize, Serialize};

use super::documents::{bytes, digest, parsed, read, to_binary, to_date, to_integer, to_timestamp};
use crate::domain::{
    AccessToken, RefreshChain, Session, SessionId, SessionUser, UsedRefresh, UserId,
};
use crate::store::stored_counters::counter;
use crate::store::{Result, StoreError};

const RECORD_KIND: &str = "session";

pub(super) fn key(id: SessionId) -> ObjectId {
    ObjectId::from_bytes(*id.as_bytes())
}

#[derive(Serialize, Deserialize)]
pub(super) struct SessionDocument {
    #[serde(rename = "_id")]
    id: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_generation: Option<i64>,
    /// Version of the user's record from which `username` was taken. Only the user name of a later
    /// version may replace `username`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_version: Option<i64>,
    client_id: String,
    client_generation: i64,
    scope: String,
    created_at: DateTime,
    ends_at: DateTime,
    #[serde(flatten)]
    tokens: SessionTokensDocument,
}

/// Fields of a session document that each refresh replaces: version, expiry and tokens.
#[derive(Serialize, Deserialize)]
struct SessionTokensDocument {
    version: i64,
    /// Expiry of the session's last token, used by MongoDB's TTL index, which deletes expired
    /// sessions.
    expires_at: DateTime,
    access: Vec<AccessTokenDocument>,
    refresh: Option<RefreshChainDocument>,
}

#[derive(Serialize, Deserialize)]
struct AccessTokenDocument {
    digest: Binary,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    issued_at: DateTime,
    expires_at: DateTime,
}

#[derive(Serialize, Deserialize)]
struct RefreshChainDocument {
    key: Binary,
    current: Binary,
    issued_at: DateTime,
    idle_ends_at: DateTime,
    used: Option<UsedRefreshDocument>,
}

#[derive(Serialize, Deserialize)]
struct UsedRefreshDocument {
    digest: Binary,
    salt: Binary,
    at: DateTime,
}

impl SessionDocument {
    /// Converts a session to a document. `name_version` is the version of the user's record that
    /// the session's user name was taken from.
    pub(super) fn of(session: &Session, name_version: Option<i64>) -> Self {
        let user = session.user.as_ref();
        Self {
            id: ObjectId::from_bytes(*session.id.as_bytes()),
            user_id: user.map(|user| ObjectId::from_bytes(*user.id.as_bytes())),
            username: user.map(|user| user.username.clone()),
            user_generation: user.map(|user| to_integer(user.generation)),
            name_version,
            client_id: session.client_id.to_string(),
            client_generation: to_integer(session.client_generation),
            scope: session.scope.to_string(),
            created_at: to_date(session.created_at),
            ends_at: to_date(session.ends_at),
            tokens: SessionTokensDocument::of(session),
        }
    }
}

/// Returns the fields of a session document that replacing the session writes: version, expiry and
/// tokens. The other fields of the stored document stay as they are.
pub(super) fn tokens(session: &Session) -> Result<Document> {
    mongodb::bson::serialize_to_document(&SessionTokensDocument::of(session))
        .map_err(|error| StoreError::corrupt(RECORD_KIND, error))
}

/// Converts a document to a session. Returns `None` if the session has ended and the document only
/// records its pending Redis invalidation.
///
/// # Errors
/// [`StoreError::Corrupt`] if the document is not a valid session.
pub fn session(raw: &RawDocument) -> Result<Option<Session>> {
    if raw.get_bool("ended").unwrap_or(false) {
        return Ok(None);
    }
    let document: SessionDocument = read(raw, RECORD_KIND)?;
    let user = match (document.user_id, document.username, document.user_generation) {
        (None, ..) => None,
        (Some(id), Some(username), Some(generation)) => Some(SessionUser {
            id: UserId::from_bytes(id.bytes()),
            username,
            generation: counter(generation, RECORD_KIND)?,
        }),
        _ => return Err(StoreError::corrupt(RECORD_KIND, "its user has no name or no generation")),
    };
    let tokens = document.tokens;
    Ok(Some(Session {
        id: SessionId::from_bytes(document.id.bytes()),
        version: counter(tokens.version, RECORD_KIND)?,
        user,
        client_id: parsed(&document.client_id, RECORD_KIND)?,
        client_generation: counter(document.client_generation, RECORD_KIND)?,
        scope: parsed(&document.scope, RECORD_KIND)?,
        created_at: to_timestamp(document.created_at),
        ends_at: to_timestamp(document.ends_at),
        access_tokens: tokens
            .access
            .into_iter()
            .map(AccessTokenDocument::read)
            .collect::<Result<_>>()?,
        refresh: tokens.refresh.map(RefreshChainDocument::read).transpose()?,
    }))
}

impl SessionTokensDocument {
    fn of(session: &Session) -> Self {
        let access = session.access_tokens.iter().map(|token| AccessTokenDocument {
            digest: to_binary(token.digest.as_bytes()),
            scope: token.scope.as_ref().map(ToString::to_string),
            issued_at: to_date(token.issued_at),
            expires_at: to_date(token.expires_at),
        });
        let refresh = session.refresh.as_ref().map(|chain| RefreshChainDocument {
            key: to_binary(&chain.mac_key),
            current: to_binary(chain.current.as_bytes()),
            issued_at: to_date(chain.issued_at),
            idle_ends_at: to_date(chain.idle_ends_at),
            used: chain.used.as_ref().map(|used| UsedRefreshDocument {
                digest: to_binary(used.digest.as_bytes()),
                salt: to_binary(&used.salt),
                at: to_date(used.at),
            }),
        });
        Self {
            version: to_integer(session.version),
            expires_at: to_date(session.expires_at()),
            access: access.collect(),
            refresh,
        }
    }
}

impl AccessTokenDocument {
    fn read(self) -> Result<AccessToken> {
        Ok(AccessToken {
            digest: digest(self.digest, RECORD_KIND)?,
            scope: self.scope.map(|text| parsed(&text, RECORD_KIND)).transpose()?,
            issued_at: to_timestamp(self.issued_at),
            expires_at: to_timestamp(self.expires_at),
        })
    }
}

impl RefreshChainDocument {
    fn read(self) -> Result<RefreshChain> {
        let used = self.used.map(|used| -> Result<UsedRefresh> {
            Ok(UsedRefresh {
                digest: digest(used.digest, RECORD_KIND)?,
                salt: bytes(used.salt, RECORD_KIND)?,
                at: to_timestamp(used.at),
            })
        });
        Ok(RefreshChain {
            mac_key: bytes(self.key, RECORD_KIND)?,
            current: digest(self.current, RECORD_KIND)?,
            issued_at: to_timestamp(self.issued_at),
            idle_ends_at: to_timestamp(self.idle_ends_at),
            used: used.transpose()?,
        })
    }
}
