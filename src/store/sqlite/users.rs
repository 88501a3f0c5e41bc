//! Users in SQLite: one row each.

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, Row, params};

use super::{SqliteStore, column, counter, parsed, to_integer};
use crate::domain::{PasswordHash, Timestamp, User, UserId, username_key};
use crate::store::{Result, StoreError, Update, UserStore, Written};

const RECORD_KIND: &str = "user";

pub(super) const INSERT: &str =
    "INSERT INTO users (username, password_hash, password_imported, scopes,
    enabled, generation, version, created_at, updated_at, id, username_key)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const UPDATE: &str = "UPDATE users SET username = ?1, password_hash = ?2, password_imported = ?3,
    scopes = ?4, enabled = ?5, generation = ?6, version = ?7, created_at = ?8, updated_at = ?9,
    username_key = ?11
    WHERE id = ?10 AND version = ?7 - 1";

pub(super) const PUT: &str =
    "INSERT INTO users (username, password_hash, password_imported, scopes,
    enabled, generation, version, created_at, updated_at, id, username_key)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT (id) DO UPDATE SET username = ?1, password_hash = ?2, password_imported = ?3,
    scopes = ?4, enabled = ?5, generation = ?6, version = ?7, created_at = ?8, updated_at = ?9,
    username_key = ?11";
/// Whether another user has the name of a new user.
const IS_TAKEN: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE username_key = ?1)";
/// Whether another user has the new name of a user. A new spelling of the former name is never
/// taken.
const IS_NEW_NAME_TAKEN: &str = "SELECT
    EXISTS (SELECT 1 FROM users WHERE id = ?2 AND version = ?3 - 1 AND username_key <> ?1)
    AND EXISTS (SELECT 1 FROM users WHERE username_key = ?1 AND id <> ?2)";

macro_rules! select_user {
    ($tail:literal) => {
        concat!(
            "SELECT id, username, password_hash, password_imported, scopes, enabled, generation,",
            " version, created_at, updated_at FROM users ",
            $tail
        )
    };
}

pub(super) use select_user;

#[async_trait]
impl UserStore for SqliteStore {
    async fn insert(&self, user: &User) -> Result<bool> {
        let user = user.clone();
        self.write(move |connection| {
            let key = username_key(&user.username);
            if connection.prepare_cached(IS_TAKEN)?.query_row([key], |row| row.get(0))? {
                return Ok(false);
            }
            write(connection, INSERT, &user).map(|done| done == Some(1))
        })
        .await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>> {
        self.find_row(select_user!("WHERE id = ?1"), [id.as_bytes()], read)
    }

    async fn find_all_by_name(&self, username: &str) -> Result<Vec<User>> {
        let key = username_key(username);
        let sql = select_user!("WHERE username_key = ?1 OR username = ?2");
        let mut users = self.list_rows(sql, [key.as_str(), username], read)?;
        // A process of an earlier version may have renamed a user without changing the key.
        users.retain(|user| username_key(&user.username) == key);
        Ok(users)
    }

    async fn update(&self, user: &User) -> Result<Written<Update>> {
        let user = user.clone();
        self.write(move |connection| {
            let key = username_key(&user.username);
            let values = params![key, user.id.as_bytes(), to_integer(user.version)];
            if connection.prepare_cached(IS_NEW_NAME_TAKEN)?.query_row(values, |row| row.get(0))? {
                return Ok(Update::NameTaken.into());
            }
            match write(connection, UPDATE, &user)? {
                None => return Ok(Update::NameTaken.into()),
                Some(0) => return Ok(Update::Stale.into()),
                Some(_) => {}
            }
            connection
                .prepare_cached(
                    "DELETE FROM sessions WHERE user_id = ?1 AND user_generation <> ?2",
                )?
                .execute(params![user.id.as_bytes(), to_integer(user.generation)])?;
            // The version is raised too, so that a refresh that read the old name must read the
            // session again.
            connection
                .prepare_cached(
                    "UPDATE sessions SET username = ?2, version = version + 1
                     WHERE user_id = ?1 AND username <> ?2",
                )?
                .execute(params![user.id.as_bytes(), user.username])?;
            Ok(Update::Done.into())
        })
        .await
    }

    async fn upgrade_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool> {
        let sql =
            "UPDATE users SET password_hash = ?1, password_imported = ?2, version = version + 1
            WHERE id = ?3 AND password_hash = ?4";
        let (old, new, is_imported) =
            (old.encoded().to_owned(), new.encoded().to_owned(), new.is_imported());
        Ok(self.execute(sql, (new, is_imported, *id.as_bytes(), old)).await? == 1)
    }

    async fn delete(&self, id: UserId, version: Option<u64>) -> Result<Written<bool>> {
        let version = version.map(to_integer);
        self.write(move |connection| {
            let rows = connection
                .prepare_cached(
                    "DELETE FROM users WHERE id = ?1 AND version = coalesce(?2, version)",
                )?
                .execute(params![id.as_bytes(), version])?;
            if rows == 1 {
                connection
                    .prepare_cached("DELETE FROM sessions WHERE user_id = ?1")?
                    .execute([id.as_bytes()])?;
            }
            Ok((rows == 1).into())
        })
        .await
    }
}

/// Writes the user with the SQL statement `INSERT`, `UPDATE` or `PUT`. Returns the number of rows
/// written, or `None` if the exact user name (or the id of a new user) is taken.
pub(super) fn write(
    connection: &Connection,
    sql: &str,
    user: &User,
) -> rusqlite::Result<Option<usize>> {
    let done = connection.prepare_cached(sql)?.execute(params![
        user.username,
        user.password.encoded(),
        user.password.is_imported(),
        user.scopes.as_ref().map(ToString::to_string),
        user.enabled,
        to_integer(user.generation),
        to_integer(user.version),
        user.created_at.as_millis(),
        user.updated_at.as_millis(),
        user.id.as_bytes(),
        username_key(&user.username),
    ]);
    match done {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(None),
        other => other.map(Some),
    }
}

/// Reads a user's password hash from column `at` of a row; the next column says whether the hash
/// was imported.
pub(super) fn password_hash(row: &Row<'_>, at: usize) -> Result<PasswordHash> {
    let (hash, imported) = (column(row, at, RECORD_KIND)?, column(row, at + 1, RECORD_KIND)?);
    Ok(if imported { PasswordHash::imported(hash) } else { PasswordHash::own(hash) })
}

pub(super) fn read(row: &Row<'_>) -> Result<User> {
    let scopes: Option<String> = column(row, 4, RECORD_KIND)?;
    let scopes = scopes.map(|text| text.parse()).transpose();
    Ok(User {
        id: UserId::from_bytes(column(row, 0, RECORD_KIND)?),
        username: parsed(row, 1, RECORD_KIND)?,
        password: password_hash(row, 2)?,
        scopes: scopes.map_err(|error| StoreError::corrupt(RECORD_KIND, error))?,
        enabled: column(row, 5, RECORD_KIND)?,
        generation: counter(row, 6, RECORD_KIND)?,
        version: counter(row, 7, RECORD_KIND)?,
        created_at: Timestamp::from_millis(column(row, 8, RECORD_KIND)?),
        updated_at: Timestamp::from_millis(column(row, 9, RECORD_KIND)?),
    })
}
