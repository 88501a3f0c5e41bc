//! Sessions in SQLite: one row each, with the tokens packed into one column
//! (`store::packed_session`).

use async_trait::async_trait;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, params, params_from_iter};

use super::{SqliteStore, column, counter, outbox, parsed, to_integer};
use crate::domain::{Session, SessionId, SessionUser, Timestamp, UserId};
use crate::store::packed_session::{pack_tokens, unpack_tokens};
use crate::store::{CallerLookup, Result, SessionFilter, SessionStore, StoreError, Want, Written};

const RECORD_KIND: &str = "session";

/// SQL that adds a session only if its user and its client are enabled and have the generations
/// (counters that end older sessions) that the login saw. If a login races with disabling the user,
/// either the login commits first and the disabling ends its session, or the login commits second
/// and adds nothing. The session's row gets the user's current name.
const INSERT: &str = "INSERT INTO sessions (key, id, version, user_id, username, user_generation,
        client_id, client_generation, scope, created_at, ends_at, expires_at, tokens)
    SELECT ?13, ?1, ?2, ?3, coalesce((SELECT username FROM users WHERE id = ?3), ?4), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
    WHERE EXISTS (SELECT 1 FROM clients WHERE id = ?6 AND generation = ?7 AND enabled)
      AND (?3 IS NULL
           OR EXISTS (SELECT 1 FROM users WHERE id = ?3 AND generation = ?5 AND enabled))";

/// SQL that writes a session's row exactly as given, and replaces any other row with the same key.
pub(super) const PUT: &str = "INSERT OR REPLACE INTO sessions (key, id, version, user_id, username,
        user_generation, client_id, client_generation, scope, created_at, ends_at, expires_at, tokens)
    VALUES (?13, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// Builds a SELECT of the session columns that [`read`] reads, followed by the SQL text `$more`.
macro_rules! select_session {
    ($($more:literal)*) => {
        concat!(
            "SELECT sessions.id, sessions.version, user_id, username, user_generation, client_id,",
            " client_generation, scope, sessions.created_at, ends_at, tokens"
            $(, $more)*
        )
    };
}

pub(super) use select_session;

const FIND: &str = select_session!(" FROM sessions WHERE key = ?1 AND sessions.id = ?2");

/// SQL that selects a session and checks the client that calls introspection in one statement,
/// which sees one snapshot of the file. If there is no row, the client has changed: each change
/// raises its version, and a client that was deleted and created again has other timestamps.
const FIND_FOR_CALLER: &str = select_session!(
    " FROM clients LEFT JOIN sessions ON key = ?1 AND sessions.id = ?2 WHERE clients.id = ?3"
    " AND clients.version = ?4 AND clients.created_at = ?5 AND clients.updated_at = ?6"
);

#[async_trait]
impl SessionStore for SqliteStore {
    async fn insert(&self, session: &Session) -> Result<bool> {
        self.add_session(INSERT, session).await
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>> {
        self.find_row(FIND, params![key(id), id.as_bytes()], read)
    }

    async fn look_up(&self, id: SessionId, want: Want<'_>) -> Result<CallerLookup> {
        let Some(caller) = want.caller else {
            let found = self.find_row(FIND, params![key(id), id.as_bytes()], read)?;
            return Ok(found.into());
        };
        let wanted = params![
            key(id),
            id.as_bytes(),
            caller.id.as_str(),
            to_integer(caller.version),
            caller.created_at.as_millis(),
            caller.updated_at.as_millis(),
        ];
        let seen = self.find_row(FIND_FOR_CALLER, wanted, |row| {
            let is_there = !matches!(row.get_ref(0), Ok(ValueRef::Null));
            Ok(is_there.then(|| read(row)).transpose()?.into())
        })?;
        Ok(seen.unwrap_or(CallerLookup::CallerChanged))
    }

    async fn replace(&self, session: &Session, revokes_access: bool) -> Result<Written<bool>> {
        let tokens = pack_tokens(session)?;
        let (id, version) = (session.id, to_integer(session.version));
        let expires_at = session.expires_at().as_millis();
        let notes = revokes_access && self.records_invalidations;
        self.write(move |connection| {
            // The other columns do not change when tokens are issued, rotated or revoked.
            let mut statement = connection.prepare_cached(
                "UPDATE sessions SET version = ?2, expires_at = ?3, tokens = ?4
                 WHERE key = ?5 AND id = ?1 AND version = ?2 - 1",
            )?;
            let values = params![id.as_bytes(), version, expires_at, tokens, key(id)];
            let rows = statement.execute(values)?;
            if notes && rows == 1 {
                outbox::record(connection, id)?;
            }
            Ok((rows == 1).into())
        })
        .await
    }

    /// Returns whether the stored version of the session is `version`, by a read only, since
    /// readers see nothing but durable commits.
    async fn confirm_durable(&self, id: SessionId, version: u64) -> Result<Written<bool>> {
        let found = self.find(id).await?;
        Ok(found.is_some_and(|session| session.version == version).into())
    }

    async fn delete(&self, id: SessionId) -> Result<Written<bool>> {
        let sql = "DELETE FROM sessions WHERE key = ?1 AND id = ?2";
        Ok((self.execute(sql, (key(id), *id.as_bytes())).await? == 1).into())
    }

    async fn delete_all(&self, filter: &SessionFilter) -> Result<Written<u64>> {
        let (condition, values) = condition(filter);
        let sql = format!("DELETE FROM sessions WHERE {condition}");
        Ok((self.execute(sql, params_from_iter(values)).await? as u64).into())
    }

    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.write(move |connection| {
            let aliases = "DELETE FROM aliases WHERE expires_at <= ?1";
            connection.prepare_cached(aliases)?.execute([now.as_millis()])?;
            let mut statement = connection.prepare_cached(
                "DELETE FROM sessions WHERE key IN (SELECT key FROM sessions
                 WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
            )?;
            statement.execute(params![now.as_millis(), limit]).map(|rows| rows as u64)
        })
        .await
    }
}

impl SqliteStore {
    /// Writes the session with the SQL statement `INSERT` or `PUT`. Returns whether a row was
    /// written.
    pub(super) async fn add_session(&self, sql: &'static str, session: &Session) -> Result<bool> {
        let tokens = pack_tokens(session)?;
        let session = session.clone();
        self.write(move |connection| {
            let user = session.user.as_ref();
            let rows = connection.prepare_cached(sql)?.execute(params![
                session.id.as_bytes(),
                to_integer(session.version),
                user.map(|user| user.id.as_bytes().to_owned()),
                user.map(|user| &user.username),
                user.map(|user| to_integer(user.generation)),
                session.client_id.as_str(),
                to_integer(session.client_generation),
                session.scope.as_str(),
                session.created_at.as_millis(),
                session.ends_at.as_millis(),
                session.expires_at().as_millis(),
                tokens,
                key(session.id),
            ])?;
            Ok(rows == 1)
        })
        .await
    }
}

/// Returns the row key of a session: the first eight bytes of the session id, as a number that
/// sorts like the ids. Two ids with the same key are practically impossible, since ids are hashes
/// of random bytes; the insertion of the second session would fail.
pub(super) fn key(id: SessionId) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]) ^ (1 << 63)).cast_signed()
}

pub(super) fn condition(filter: &SessionFilter) -> (String, Vec<Value>) {
    // The unary plus keeps SQLite from using the index on expiry, with which it would read and sort
    // all live sessions.
    let conditions = [
        filter.user.map(|id| ("user_id = ?", Value::Blob(id.as_bytes().to_vec()))),
        filter.client.as_ref().map(|id| ("client_id = ?", Value::Text(id.to_string()))),
        filter.alive_at.map(|now| ("+expires_at > ?", Value::Integer(now.as_millis()))),
    ];
    let (conditions, values): (Vec<_>, Vec<_>) = conditions.into_iter().flatten().unzip();
    let none = conditions.is_empty();
    (if none { "TRUE".to_owned() } else { conditions.join(" AND ") }, values)
}

pub(super) fn read(row: &Row<'_>) -> Result<Session> {
    let user: Option<[u8; 12]> = column(row, 2, RECORD_KIND)?;
    let user = user.map(|id| -> Result<SessionUser> {
        Ok(SessionUser {
            id: UserId::from_bytes(id),
            username: parsed(row, 3, RECORD_KIND)?,
            generation: counter(row, 4, RECORD_KIND)?,
        })
    });
    let packed = row.get_ref(10).and_then(|value| Ok(value.as_blob()?));
    let packed = packed.map_err(|error| StoreError::corrupt(RECORD_KIND, error))?;
    let (access_tokens, refresh) = unpack_tokens(packed)?;
    Ok(Session {
        id: SessionId::from_bytes(column(row, 0, RECORD_KIND)?),
        version: counter(row, 1, RECORD_KIND)?,
        user: user.transpose()?,
        client_id: parsed(row, 5, RECORD_KIND)?,
        client_generation: counter(row, 6, RECORD_KIND)?,
        scope: parsed(row, 7, RECORD_KIND)?,
        created_at: Timestamp::from_millis(column(row, 8, RECORD_KIND)?),
        ends_at: Timestamp::from_millis(column(row, 9, RECORD_KIND)?),
        access_tokens,
        refresh,
    })
}
