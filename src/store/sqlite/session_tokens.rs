//! Encoding of the column `tokens` of a session, in postcard. It contains the part of a session
//! that changes with every refresh.

use serde::{Deserialize, Serialize};

use crate::domain::{AccessToken, Digest, RefreshChain, Session, Timestamp, UsedRefresh};
use crate::store::{Result, StoreError};

const WHAT: &str = "session";

/// Content of the column. A new field needs a migration, since postcard does not name fields.
#[derive(Serialize, Deserialize)]
struct Tokens {
    access: Vec<Access>,
    refresh: Option<Refresh>,
}

#[derive(Serialize, Deserialize)]
struct Access {
    digest: [u8; 32],
    scope: Option<String>,
    issued_at: i64,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct Refresh {
    key: [u8; 16],
    current: [u8; 32],
    issued_at: i64,
    idle_ends_at: i64,
    used: Option<Used>,
}

#[derive(Serialize, Deserialize)]
struct Used {
    digest: [u8; 32],
    salt: [u8; 32],
    at: i64,
}

pub(super) fn pack(session: &Session) -> Result<Vec<u8>> {
    let access = session.access.iter().map(|token| Access {
        digest: *token.digest.as_bytes(),
        scope: token.scope.as_ref().map(ToString::to_string),
        issued_at: token.issued_at.as_millis(),
        expires_at: token.expires_at.as_millis(),
    });
    let refresh = session.refresh.as_ref().map(|chain| Refresh {
        key: chain.key,
        current: *chain.current.as_bytes(),
        issued_at: chain.issued_at.as_millis(),
        idle_ends_at: chain.idle_ends_at.as_millis(),
        used: chain.used.as_ref().map(|used| Used {
            digest: *used.digest.as_bytes(),
            salt: used.salt,
            at: used.at.as_millis(),
        }),
    });
    postcard::to_allocvec(&Tokens { access: access.collect(), refresh })
        .map_err(|error| StoreError::damaged(WHAT, error))
}

/// Decodes the access tokens and the refresh tokens of a session from the column.
pub(super) fn unpack(packed: &[u8]) -> Result<(Vec<AccessToken>, Option<RefreshChain>)> {
    let tokens: Tokens =
        postcard::from_bytes(packed).map_err(|error| StoreError::damaged(WHAT, error))?;
    let access = tokens.access.into_iter().map(|token| {
        let scope = token.scope.map(|text| text.parse()).transpose();
        Ok(AccessToken {
            digest: Digest::from_bytes(token.digest),
            scope: scope.map_err(|error| StoreError::damaged(WHAT, error))?,
            issued_at: Timestamp::from_millis(token.issued_at),
            expires_at: Timestamp::from_millis(token.expires_at),
        })
    });
    let refresh = tokens.refresh.map(|chain| RefreshChain {
        key: chain.key,
        current: Digest::from_bytes(chain.current),
        issued_at: Timestamp::from_millis(chain.issued_at),
        idle_ends_at: Timestamp::from_millis(chain.idle_ends_at),
        used: chain.used.map(|used| UsedRefresh {
            digest: Digest::from_bytes(used.digest),
            salt: used.salt,
            at: Timestamp::from_millis(used.at),
        }),
    });
    Ok((access.collect::<Result<_>>()?, refresh))
}
