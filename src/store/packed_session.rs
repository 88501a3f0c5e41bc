//! Encoding of sessions in postcard: the column `tokens` of the embedded store, and the cache entry
//! in Redis.
//!
//! Postcard does not name fields. So a change of the column needs a migration, and a change of the
//! cache entry, which servers of different versions share, needs a new field name in
//! `super::redis`.

use serde::{Deserialize, Serialize};

use super::{Result, StoreError};
use crate::domain::{
    AccessToken, Digest, RefreshChain, Session, SessionId, SessionUser, Timestamp, UsedRefresh,
    UserId,
};

const RECORD_KIND: &str = "session";

/// Content of the SQLite column `tokens`: the access and refresh tokens of a session, which change
/// with every refresh.
#[derive(Serialize, Deserialize)]
struct PackedTokens {
    access: Vec<PackedAccessToken>,
    refresh: Option<PackedRefreshChain>,
}

/// Content of a session's cache entry in Redis. It contains the access tokens, but no refresh
/// tokens, which are always read from the store.
#[derive(Serialize, Deserialize)]
struct PackedSession {
    version: u64,
    user: Option<PackedUser>,
    client_id: String,
    client_generation: u64,
    scope: String,
    created_at: i64,
    ends_at: i64,
    access: Vec<PackedAccessToken>,
}

#[derive(Serialize, Deserialize)]
struct PackedUser {
    id: [u8; 12],
    username: String,
    generation: u64,
}

#[derive(Serialize, Deserialize)]
struct PackedAccessToken {
    digest: [u8; 32],
    scope: Option<String>,
    issued_at: i64,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct PackedRefreshChain {
    key: [u8; 16],
    current: [u8; 32],
    issued_at: i64,
    idle_ends_at: i64,
    used: Option<PackedUsedRefresh>,
}

#[derive(Serialize, Deserialize)]
struct PackedUsedRefresh {
    digest: [u8; 32],
    salt: [u8; 32],
    at: i64,
}

/// Encodes the access tokens and the refresh tokens of a session for the SQLite column `tokens`.
pub(super) fn pack_tokens(session: &Session) -> Result<Vec<u8>> {
    let refresh = session.refresh.as_ref().map(|chain| PackedRefreshChain {
        key: chain.mac_key,
        current: *chain.current.as_bytes(),
        issued_at: chain.issued_at.as_millis(),
        idle_ends_at: chain.idle_ends_at.as_millis(),
        used: chain.used.as_ref().map(|used| PackedUsedRefresh {
            digest: *used.digest.as_bytes(),
            salt: used.salt,
            at: used.at.as_millis(),
        }),
    });
    postcard::to_allocvec(&PackedTokens { access: pack_access(session), refresh })
        .map_err(|error| StoreError::corrupt(RECORD_KIND, error))
}

/// Decodes the access tokens and the refresh tokens of a session from the SQLite column `tokens`.
pub(super) fn unpack_tokens(packed: &[u8]) -> Result<(Vec<AccessToken>, Option<RefreshChain>)> {
    let tokens: PackedTokens =
        postcard::from_bytes(packed).map_err(|error| StoreError::corrupt(RECORD_KIND, error))?;
    let refresh = tokens.refresh.map(|chain| RefreshChain {
        mac_key: chain.key,
        current: Digest::from_bytes(chain.current),
        issued_at: Timestamp::from_millis(chain.issued_at),
        idle_ends_at: Timestamp::from_millis(chain.idle_ends_at),
        used: chain.used.map(|used| UsedRefresh {
            digest: Digest::from_bytes(used.digest),
            salt: used.salt,
            at: Timestamp::from_millis(used.at),
        }),
    });
    Ok((unpack_access(tokens.access)?, refresh))
}

/// Encodes a session, without refresh tokens, for the Redis cache. Returns `None` if encoding
/// fails.
pub(super) fn pack_cached(session: &Session) -> Option<Vec<u8>> {
    let user = session.user.as_ref().map(|user| PackedUser {
        id: *user.id.as_bytes(),
        username: user.username.clone(),
        generation: user.generation,
    });
    let cached = PackedSession {
        version: session.version,
        user,
        client_id: session.client_id.to_string(),
        client_generation: session.client_generation,
        scope: session.scope.to_string(),
        created_at: session.created_at.as_millis(),
        ends_at: session.ends_at.as_millis(),
        access: pack_access(session),
    };
    postcard::to_allocvec(&cached).ok()
}

/// Decodes a session, without refresh tokens, from the bytes of a Redis cache entry. Returns `None`
/// if the bytes are not a valid session.
pub fn unpack_cached(id: SessionId, bytes: &[u8]) -> Option<Session> {
    let cached: PackedSession = postcard::from_bytes(bytes).ok()?;
    Some(Session {
        id,
        version: cached.version,
        user: cached.user.map(|user| SessionUser {
            id: UserId::from_bytes(user.id),
            username: user.username,
            generation: user.generation,
        }),
        client_id: cached.client_id.parse().ok()?,
        client_generation: cached.client_generation,
        scope: cached.scope.parse().ok()?,
        created_at: Timestamp::from_millis(cached.created_at),
        ends_at: Timestamp::from_millis(cached.ends_at),
        access_tokens: unpack_access(cached.access).ok()?,
        refresh: None,
    })
}

fn pack_access(session: &Session) -> Vec<PackedAccessToken> {
    let access = session.access_tokens.iter().map(|token| PackedAccessToken {
        digest: *token.digest.as_bytes(),
        scope: token.scope.as_ref().map(ToString::to_string),
        issued_at: token.issued_at.as_millis(),
        expires_at: token.expires_at.as_millis(),
    });
    access.collect()
}

fn unpack_access(packed: Vec<PackedAccessToken>) -> Result<Vec<AccessToken>> {
    let access = packed.into_iter().map(|token| {
        let scope = token.scope.map(|text| text.parse()).transpose();
        Ok(AccessToken {
            digest: Digest::from_bytes(token.digest),
            scope: scope.map_err(|error| StoreError::corrupt(RECORD_KIND, error))?,
            issued_at: Timestamp::from_millis(token.issued_at),
            expires_at: Timestamp::from_millis(token.expires_at),
        })
    });
    access.collect()
}
