//! Cache format of a session. It contains the access tokens, but no refresh tokens: their state is
//! always read from the store.

use serde::{Deserialize, Serialize};

use crate::domain::{AccessToken, Digest, Session, SessionId, SessionUser, Timestamp, UserId};

/// A session, encoded with postcard. Servers of different versions share the cache, so a change of
/// this format needs a new field name in `super::cache`.
#[derive(Serialize, Deserialize)]
pub(super) struct CachedSession {
    version: u64,
    user: Option<User>,
    client_id: String,
    client_generation: u64,
    scope: String,
    created_at: i64,
    ends_at: i64,
    access: Vec<Access>,
}

#[derive(Serialize, Deserialize)]
struct User {
    id: [u8; 12],
    username: String,
    generation: u64,
}

#[derive(Serialize, Deserialize)]
struct Access {
    digest: [u8; 32],
    scope: Option<String>,
    issued_at: i64,
    expires_at: i64,
}

/// Encodes a session; `None` if encoding fails.
pub(super) fn pack(session: &Session) -> Option<Vec<u8>> {
    let access = session.access.iter().map(|token| Access {
        digest: *token.digest.as_bytes(),
        scope: token.scope.as_ref().map(ToString::to_string),
        issued_at: token.issued_at.as_millis(),
        expires_at: token.expires_at.as_millis(),
    });
    let user = session.user.as_ref().map(|user| User {
        id: *user.id.as_bytes(),
        username: user.username.clone(),
        generation: user.generation,
    });
    let cached = CachedSession {
        version: session.version,
        user,
        client_id: session.client_id.to_string(),
        client_generation: session.client_generation,
        scope: session.scope.to_string(),
        created_at: session.created_at.as_millis(),
        ends_at: session.ends_at.as_millis(),
        access: access.collect(),
    };
    postcard::to_allocvec(&cached).ok()
}

/// Decodes a session; `None` if the bytes are not a valid session.
pub fn unpack(id: SessionId, bytes: &[u8]) -> Option<Session> {
    let cached: CachedSession = postcard::from_bytes(bytes).ok()?;
    let access = cached.access.into_iter().map(|token| {
        Some(AccessToken {
            digest: Digest::from_bytes(token.digest),
            scope: match token.scope {
                None => None,
                Some(text) => Some(text.parse().ok()?),
            },
            issued_at: Timestamp::from_millis(token.issued_at),
            expires_at: Timestamp::from_millis(token.expires_at),
        })
    });
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
        access: access.collect::<Option<_>>()?,
        refresh: None,
    })
}
