//! Sessions in SQLite: one row each, with the tokens packed into one column
//! ([`super::session_tokens`]).

use async_trait::async_trait;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, params, params_from_iter};

use super::session_tokens::{pack, unpack};
use super::{SqliteStore, column, counter, failed, losses, parsed, to_integer};
use crate::domain::{Client, Digest, Session, SessionId, SessionUser, Timestamp, UserId};
use crate::observe::chain;
use crate::store::{Page, Result, Seen, SessionFilter, SessionStore, StoreError, Written};

const WHAT: &str = "session";

/// Adds the row only if user and client are enabled and have the generations that the login saw. If
/// a login races with disabling the user, either the login commits first and the disabling ends its
/// session, or the login commits second and adds nothing. The row gets the user's current name.
const INSERT: &str = "INSERT INTO sessions (key, id, version, user_id, username, user_generation,
        client_id, client_generation, scope, created_at, ends_at, expires_at, tokens)
    SELECT ?13, ?1, ?2, ?3, coalesce((SELECT username FROM users WHERE id = ?3), ?4), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
    WHERE EXISTS (SELECT 1 FROM clients WHERE id = ?6 AND generation = ?7 AND enabled)
      AND (?3 IS NULL
           OR EXISTS (SELECT 1 FROM users WHERE id = ?3 AND generation = ?5 AND enabled))";

const PUT: &str = "INSERT OR REPLACE INTO sessions (key, id, version, user_id, username,
        user_generation, client_id, client_generation, scope, created_at, ends_at, expires_at, tokens)
    VALUES (?13, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// Builds a SELECT of the columns that [`read`] reads, followed by `$more`.
macro_rules! select {
    ($($more:literal)*) => {
        concat!(
            "SELECT sessions.id, sessions.version, user_id, username, user_generation, client_id,",
            " client_generation, scope, sessions.created_at, ends_at, tokens"
            $(, $more)*
        )
    };
}

const FIND: &str = select!(" FROM sessions WHERE key = ?1 AND sessions.id = ?2");

/// Selects the session and checks the client in one statement, which sees one snapshot of the file.
/// No row means that the client has changed: each change raises its version, and a client that was
/// deleted and created again has other timestamps.
const FIND_FOR: &str = select!(
    " FROM clients LEFT JOIN sessions ON key = ?1 AND sessions.id = ?2 WHERE clients.id = ?3"
    " AND clients.version = ?4 AND clients.created_at = ?5 AND clients.updated_at = ?6"
);

#[async_trait]
impl SessionStore for SqliteStore {
    async fn insert(&self, session: &Session) -> Result<bool> {
        self.add(INSERT, session).await
    }

    async fn put(&self, session: &Session) -> Result<()> {
        self.add(PUT, session).await.map(drop)
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>> {
        self.find_row(FIND, params![key(id), id.as_bytes()], read)
    }

    async fn find_for(
        &self,
        id: SessionId,
        _access: Option<&Digest>,
        caller: &Client,
    ) -> Result<Seen> {
        let wanted = params![
            key(id),
            id.as_bytes(),
            caller.id.as_str(),
            to_integer(caller.version),
            caller.created_at.as_millis(),
            caller.updated_at.as_millis(),
        ];
        let seen = self.find_row(FIND_FOR, wanted, |row| {
            let is_there = !matches!(row.get_ref(0), Ok(ValueRef::Null));
            let session = is_there.then(|| read(row)).transpose()?;
            Ok(Seen::Session(session.map(Box::new)))
        })?;
        Ok(seen.unwrap_or(Seen::OtherCaller))
    }

    async fn replace(&self, session: &Session) -> Result<bool> {
        self.replace_noting(session, false).await
    }

    async fn replace_losing(&self, session: &Session) -> Result<Written<bool>> {
        Ok(self.replace_noting(session, true).await?.into())
    }

    /// Compares the version only, since readers see nothing but durable commits.
    async fn settle(&self, id: SessionId, version: u64) -> Result<Written<bool>> {
        let found = self.find(id).await?;
        Ok(found.is_some_and(|session| session.version == version).into())
    }

    async fn end(&self, id: SessionId) -> Result<Written<bool>> {
        self.write(move |connection| {
            let mut statement =
                connection.prepare_cached("DELETE FROM sessions WHERE key = ?1 AND id = ?2")?;
            statement.execute(params![key(id), id.as_bytes()]).map(|rows| (rows == 1).into())
        })
        .await
    }

    async fn end_all(&self, filter: &SessionFilter) -> Result<Written<u64>> {
        let (condition, values) = condition(filter);
        let sql = format!("DELETE FROM sessions WHERE {condition}");
        self.write(move |connection| {
            let rows = connection.prepare_cached(&sql)?.execute(params_from_iter(values))?;
            Ok((rows as u64).into())
        })
        .await
    }

    async fn list(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>> {
        let after: Option<SessionId> = page.after.as_deref().and_then(|id| id.parse().ok());
        let (condition, mut values) = condition(filter);
        let behind = if after.is_some() { "AND key > ?" } else { "" };
        let sql = format!(
            "{} {condition} {behind} ORDER BY key LIMIT ?",
            select!(" FROM sessions WHERE")
        );
        values.extend(after.map(|id| Value::Integer(key(id))));
        values.push(Value::Integer(page.limit.into()));
        if filter.alive_at.is_some() {
            // Many expired sessions may be read for each live one.
            return self.scan(sql, params_from_iter(values), read).await;
        }
        self.list_rows(&sql, params_from_iter(values), read)
    }

    async fn list_sound(&self, page: &Page) -> Result<Vec<Session>> {
        let after: Option<SessionId> = page.after.as_deref().and_then(|id| id.parse().ok());
        let first = after.map_or(i64::MIN, |id| key(id).saturating_add(1));
        let sql = select!(" FROM sessions WHERE key >= ?1 ORDER BY key");
        self.readers.with(|connection| {
            let mut statement = connection.prepare_cached(sql).map_err(failed)?;
            let mut rows = statement.query([first]).map_err(failed)?;
            let mut found = Vec::new();
            while found.len() < page.limit as usize
                && let Some(row) = rows.next().map_err(failed)?
            {
                match read(row) {
                    Ok(session) => found.push(session),
                    Err(error) => {
                        let id = row.get::<_, Vec<u8>>(0).map(hex::encode).unwrap_or_default();
                        tracing::error!(session = id, "passed over: {}", chain(&error));
                    }
                }
            }
            Ok(found)
        })
    }

    async fn count(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM sessions WHERE expires_at > ?1 LIMIT ?2)";
        self.count_rows(sql, params![now.as_millis(), limit])
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
    /// Runs [`INSERT`] or [`PUT`]. Returns whether a row was written.
    async fn add(&self, sql: &'static str, session: &Session) -> Result<bool> {
        let tokens = pack(session)?;
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

    async fn replace_noting(&self, session: &Session, loss: bool) -> Result<bool> {
        let tokens = pack(session)?;
        let (id, version) = (session.id, to_integer(session.version));
        let expires_at = session.expires_at().as_millis();
        let notes = loss && self.notes_losses();
        self.write(move |connection| {
            // The other columns do not change when tokens are issued, rotated or revoked.
            let mut statement = connection.prepare_cached(
                "UPDATE sessions SET version = ?2, expires_at = ?3, tokens = ?4
                 WHERE key = ?5 AND id = ?1 AND version = ?2 - 1",
            )?;
            let values = params![id.as_bytes(), version, expires_at, tokens, key(id)];
            let rows = statement.execute(values)?;
            if notes && rows == 1 {
                losses::note(connection, id)?;
            }
            Ok(rows == 1)
        })
        .await
    }
}

/// Returns the row key: the first eight bytes of the id, as a number that sorts like the ids. Two
/// ids with the same key are practically impossible, since ids are hashes of random bytes; the
/// insertion of the second session would fail.
fn key(id: SessionId) -> i64 {
    let first = id.as_bytes().first_chunk().copied().unwrap_or_default();
    (u64::from_be_bytes(first) ^ (1 << 63)).cast_signed()
}

fn condition(filter: &SessionFilter) -> (String, Vec<Value>) {
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

fn read(row: &Row<'_>) -> Result<Session> {
    let user: Option<[u8; 12]> = column(row, 2, WHAT)?;
    let user = user.map(|id| -> Result<SessionUser> {
        Ok(SessionUser {
            id: UserId::from_bytes(id),
            username: parsed(row, 3, WHAT)?,
            generation: counter(row, 4, WHAT)?,
        })
    });
    let packed = row.get_ref(10).and_then(|value| Ok(value.as_blob()?));
    let packed = packed.map_err(|error| StoreError::damaged(WHAT, error))?;
    let (access, refresh) = unpack(packed)?;
    Ok(Session {
        id: SessionId::from_bytes(column(row, 0, WHAT)?),
        version: counter(row, 1, WHAT)?,
        user: user.transpose()?,
        client_id: parsed(row, 5, WHAT)?,
        client_generation: counter(row, 6, WHAT)?,
        scope: parsed(row, 7, WHAT)?,
        created_at: Timestamp::from_millis(column(row, 8, WHAT)?),
        ends_at: Timestamp::from_millis(column(row, 9, WHAT)?),
        access,
        refresh,
    })
}
