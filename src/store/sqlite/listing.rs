//! [`StoreListing`] in SQLite.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Row, params, params_from_iter};

use super::sessions::{condition, key, select_session};
use super::{SqliteStore, clients, column, failed, range_end, sessions, users};
use crate::domain::{
    Client, PasswordHash, Session, SessionId, Timestamp, User, UserId, username_key,
    username_key_parts,
};
use crate::observe::error_chain;
use crate::store::{Page, Result, SessionFilter, StoreListing};

#[async_trait]
impl StoreListing for SqliteStore {
    async fn list_users(&self, prefix: &str, page: &Page) -> Result<Vec<User>> {
        let after = page.cursor.as_deref().unwrap_or("");
        if prefix.is_empty() {
            let sql = users::select_user!("WHERE username > ?1 ORDER BY username LIMIT ?2");
            return self.list_rows(sql, params![after, page.limit], users::read);
        }
        // Two subqueries, so that each reads one range of the index.
        let sql = users::select_user!(
            "WHERE id IN (
                SELECT id FROM (SELECT id, username_key, username FROM users
                    WHERE (username_key, username) > (?1, ?2) AND username_key < ?3
                    ORDER BY username_key, username LIMIT ?7)
                UNION ALL SELECT id FROM (SELECT id, username_key, username FROM users
                    WHERE (username_key, username) > (?4, ?5) AND username_key < ?6
                    ORDER BY username_key, username LIMIT ?7)
            ) ORDER BY username_key, username LIMIT ?7"
        );
        let [folded, exact] = username_key_parts(prefix).map(|prefix| {
            let end = range_end(&prefix);
            let (key, name) = (username_key(after), after.to_owned());
            if key < prefix { (prefix, String::new(), end) } else { (key, name, end) }
        });
        let values = params![folded.0, folded.1, folded.2, exact.0, exact.1, exact.2, page.limit];
        self.list_rows(sql, values, users::read)
    }

    async fn search_users(&self, part: &str, page: &Page) -> Result<Vec<User>> {
        let after = page.cursor.as_deref().unwrap_or("");
        let key = username_key(after);
        if part.is_empty() {
            let sql = users::select_user!(
                "WHERE (username_key, username) > (?1, ?2) ORDER BY username_key, username LIMIT ?3"
            );
            return self.list_rows(sql, params![key, after, page.limit], users::read);
        }
        let sql = users::select_user!(
            "WHERE (username_key, username) > (?1, ?2)
                AND (instr(username_key, ?3) OR instr(username_key, ?4))
            ORDER BY username_key, username LIMIT ?5"
        );
        let [folded, exact] = username_key_parts(part);
        self.scan(sql.to_owned(), (key, after.to_owned(), folded, exact, page.limit), users::read)
            .await
    }

    async fn list_spellings(&self, limit: u32) -> Result<Vec<User>> {
        let sql = users::select_user!(
            "WHERE username_key IN (
                SELECT username_key FROM users WHERE username_key > ''
                GROUP BY username_key HAVING count(*) > 1 ORDER BY username_key LIMIT ?1
            ) ORDER BY username_key, username LIMIT ?1"
        );
        self.scan(sql.to_owned(), [limit], users::read).await
    }

    async fn count_users(&self, part: &str, limit: u32) -> Result<u64> {
        if part.is_empty() {
            return self.count_rows("SELECT count(*) FROM (SELECT 1 FROM users LIMIT ?1)", [limit]);
        }
        let sql = "SELECT count(*) FROM (SELECT 1 FROM users
            WHERE instr(username_key, ?1) OR instr(username_key, ?2) LIMIT ?3)";
        let [folded, exact] = username_key_parts(part);
        self.scan_count(sql, (folded, exact, limit)).await
    }

    async fn sample_password_hashes(
        &self,
        excluded_prefixes: &[String],
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, PasswordHash)>> {
        // Range conditions, since SQLite's text functions would take longer.
        let exclusions =
            "(password_hash < ? OR password_hash >= ?) AND ".repeat(excluded_prefixes.len());
        let sql = format!(
            "SELECT id, password_hash, password_imported FROM users WHERE {exclusions} id > ? ORDER BY id LIMIT ?"
        );
        let mut values = Vec::new();
        for prefix in excluded_prefixes {
            values.extend([Value::Text(prefix.clone()), range_end(prefix)]);
        }
        let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        values.extend([Value::Blob(after), Value::Integer(limit.into())]);
        let read = |row: &Row<'_>| {
            Ok((UserId::from_bytes(column(row, 0, "user")?), users::password_hash(row, 1)?))
        };
        self.scan(sql, params_from_iter(values), read).await
    }

    async fn list_clients(&self, part: &str, page: &Page) -> Result<Vec<Client>> {
        let after = page.cursor.as_deref().unwrap_or("");
        if part.is_empty() {
            let sql = clients::select_client!("WHERE id > ?1 ORDER BY id LIMIT ?2");
            return self.list_rows(sql, params![after, page.limit], clients::read);
        }
        // SQLite's `lower` maps only ASCII letters.
        let sql = clients::select_client!(
            "WHERE id > ?1 AND (instr(lower(id), ?2) OR instr(lower(name), ?2)) ORDER BY id LIMIT ?3"
        );
        let values = (after.to_owned(), part.to_ascii_lowercase(), page.limit);
        self.scan(sql.to_owned(), values, clients::read).await
    }

    async fn count_clients(&self, part: &str, limit: u32) -> Result<u64> {
        if part.is_empty() {
            let sql = "SELECT count(*) FROM (SELECT 1 FROM clients LIMIT ?1)";
            return self.count_rows(sql, [limit]);
        }
        let sql = "SELECT count(*) FROM (SELECT 1 FROM clients
            WHERE instr(lower(id), ?1) OR instr(lower(name), ?1) LIMIT ?2)";
        self.scan_count(sql, (part.to_ascii_lowercase(), limit)).await
    }

    async fn list_sessions(&self, filter: &SessionFilter, page: &Page) -> Result<Vec<Session>> {
        let after: Option<SessionId> = page.cursor.as_deref().and_then(|id| id.parse().ok());
        let (condition, mut values) = condition(filter);
        let after_condition = if after.is_some() { "AND key > ?" } else { "" };
        let sql = format!(
            "{} {condition} {after_condition} ORDER BY key LIMIT ?",
            select_session!(" FROM sessions WHERE")
        );
        values.extend(after.map(|id| Value::Integer(key(id))));
        values.push(Value::Integer(page.limit.into()));
        if filter.alive_at.is_some() {
            // Many expired sessions may be read for each live one.
            return self.scan(sql, params_from_iter(values), sessions::read).await;
        }
        self.list_rows(&sql, params_from_iter(values), sessions::read)
    }

    async fn list_sessions_skipping_corrupt(&self, page: &Page) -> Result<Vec<Session>> {
        let after: Option<SessionId> = page.cursor.as_deref().and_then(|id| id.parse().ok());
        let first = after.map_or(i64::MIN, |id| key(id).saturating_add(1));
        let sql = select_session!(" FROM sessions WHERE key >= ?1 ORDER BY key");
        self.readers.with(|connection| {
            let mut statement = connection.prepare_cached(sql).map_err(failed)?;
            let mut rows = statement.query([first]).map_err(failed)?;
            let mut found = Vec::new();
            while found.len() < page.limit as usize
                && let Some(row) = rows.next().map_err(failed)?
            {
                match sessions::read(row) {
                    Ok(session) => found.push(session),
                    Err(error) => {
                        let id = row.get::<_, Vec<u8>>(0).map(hex::encode).unwrap_or_default();
                        tracing::error!(
                            session = id,
                            "corrupt session skipped: {}",
                            error_chain(&error)
                        );
                    }
                }
            }
            Ok(found)
        })
    }

    async fn count_sessions(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM sessions WHERE expires_at > ?1 LIMIT ?2)";
        self.count_rows(sql, params![now.as_millis(), limit])
    }
}
