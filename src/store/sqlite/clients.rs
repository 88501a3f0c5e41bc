//! Clients in SQLite: one row each.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, Row, params};

use super::{SqliteStore, column, counter, parsed, to_integer};
use crate::domain::{
    Client, ClientId, ClientKind, Digest, Grant, PasswordHash, StoredSecret, Timestamp,
};
use crate::store::{ClientStore, Result, StoreError, Update, Written, client_kind};

const RECORD_KIND: &str = "client";

const INSERT: &str = "INSERT INTO clients (name, secret_digest, grants, scopes, default_scopes,
    access_token_ttl_ms, refresh_idle_ttl_ms, session_ttl_ms, introspection, enabled, generation,
    version, created_at, updated_at, id, introspect_refresh_tokens, secret_hash)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
pub(super) const PUT: &str =
    "INSERT INTO clients (name, secret_digest, grants, scopes, default_scopes,
    access_token_ttl_ms, refresh_idle_ttl_ms, session_ttl_ms, introspection, enabled, generation,
    version, created_at, updated_at, id, introspect_refresh_tokens, secret_hash)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
    ON CONFLICT (id) DO UPDATE SET name = ?1, secret_digest = ?2, grants = ?3, scopes = ?4,
    default_scopes = ?5, access_token_ttl_ms = ?6, refresh_idle_ttl_ms = ?7, session_ttl_ms = ?8,
    introspection = ?9, enabled = ?10, generation = ?11, version = ?12, created_at = ?13,
    updated_at = ?14, introspect_refresh_tokens = ?16, secret_hash = ?17";
const UPDATE: &str = "UPDATE clients SET name = ?1, secret_digest = ?2, grants = ?3, scopes = ?4,
    default_scopes = ?5, access_token_ttl_ms = ?6, refresh_idle_ttl_ms = ?7, session_ttl_ms = ?8,
    introspection = ?9, enabled = ?10, generation = ?11, version = ?12, created_at = ?13,
    updated_at = ?14, introspect_refresh_tokens = ?16, secret_hash = ?17
    WHERE id = ?15 AND version = ?12 - 1";

macro_rules! select_client {
    ($tail:literal) => {
        concat!(
            "SELECT id, name, secret_digest, grants, scopes, default_scopes, access_token_ttl_ms,",
            " refresh_idle_ttl_ms, session_ttl_ms, introspection, enabled, generation, version,",
            " created_at, updated_at, introspect_refresh_tokens, secret_hash FROM clients ",
            $tail
        )
    };
}

pub(super) use select_client;

#[async_trait]
impl ClientStore for SqliteStore {
    async fn insert(&self, client: &Client) -> Result<bool> {
        let client = client.clone();
        self.write(move |connection| match write(connection, INSERT, &client) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Ok(false)
            }
            other => other.map(|rows| rows == 1),
        })
        .await
    }

    async fn find(&self, id: &ClientId) -> Result<Option<Client>> {
        self.find_row(select_client!("WHERE id = ?1"), [id.as_str()], read)
    }

    async fn update(&self, client: &Client) -> Result<Written<Update>> {
        let client = client.clone();
        self.write(move |connection| {
            if write(connection, UPDATE, &client)? == 0 {
                return Ok(Update::Stale.into());
            }
            connection
                .prepare_cached(
                    "DELETE FROM sessions WHERE client_id = ?1 AND client_generation <> ?2",
                )?
                .execute(params![client.id.as_str(), to_integer(client.generation)])?;
            Ok(Update::Done.into())
        })
        .await
    }

    async fn upgrade_secret(
        &self,
        id: &ClientId,
        old: &StoredSecret,
        new: &PasswordHash,
    ) -> Result<bool> {
        let sql = "UPDATE clients SET secret_digest = NULL, secret_hash = ?1
            WHERE id = ?2 AND secret_digest IS ?3 AND secret_hash IS ?4";
        let (digest, hash) = match old {
            StoredSecret::Digest(digest) => (Some(*digest.as_bytes()), None),
            StoredSecret::Hash(hash) => (None, Some(hash.encoded().to_owned())),
        };
        let values = (new.encoded().to_owned(), id.as_str().to_owned(), digest, hash);
        Ok(self.execute(sql, values).await? == 1)
    }

    async fn delete(&self, id: &ClientId, version: Option<u64>) -> Result<Written<bool>> {
        let version = version.map(to_integer);
        let id = id.clone();
        self.write(move |connection| {
            let rows = connection
                .prepare_cached(
                    "DELETE FROM clients WHERE id = ?1 AND version = coalesce(?2, version)",
                )?
                .execute(params![id.as_str(), version])?;
            if rows == 1 {
                connection
                    .prepare_cached("DELETE FROM sessions WHERE client_id = ?1")?
                    .execute([id.as_str()])?;
            }
            Ok((rows == 1).into())
        })
        .await
    }
}

pub(super) fn write(
    connection: &Connection,
    sql: &str,
    client: &Client,
) -> rusqlite::Result<usize> {
    let (digest, hash) = match &client.kind {
        ClientKind::Public => (None, None),
        ClientKind::Confidential(StoredSecret::Digest(digest)) => (Some(digest.as_bytes()), None),
        ClientKind::Confidential(StoredSecret::Hash(hash)) => (None, Some(hash.encoded())),
    };
    let grants: Vec<_> = client.grants.iter().map(|grant| grant.as_str()).collect();
    connection.prepare_cached(sql)?.execute(params![
        client.name,
        digest,
        grants.join(" "),
        client.scopes.to_string(),
        client.default_scopes.to_string(),
        client.access_token_ttl.map(to_millis),
        client.refresh_idle_ttl.map(to_millis),
        client.session_ttl.map(to_millis),
        client.introspection,
        client.enabled,
        to_integer(client.generation),
        to_integer(client.version),
        client.created_at.as_millis(),
        client.updated_at.as_millis(),
        client.id.as_str(),
        client.introspect_refresh_tokens,
        hash,
    ])
}

fn to_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn read(row: &Row<'_>) -> Result<Client> {
    let digest: Option<[u8; 32]> = column(row, 2, RECORD_KIND)?;
    let hash: Option<String> = column(row, 16, RECORD_KIND)?;
    let grants: String = column(row, 3, RECORD_KIND)?;
    let grants: Result<BTreeSet<Grant>, _> = grants.split_whitespace().map(str::parse).collect();
    let ttl = |index| -> Result<Option<Duration>> {
        let millis: Option<i64> = column(row, index, RECORD_KIND)?;
        Ok(millis.map(|millis| Duration::from_millis(millis.unsigned_abs())))
    };
    Ok(Client {
        id: parsed(row, 0, RECORD_KIND)?,
        name: column(row, 1, RECORD_KIND)?,
        kind: client_kind(digest.map(Digest::from_bytes), hash),
        grants: grants.map_err(|error| StoreError::corrupt(RECORD_KIND, error))?,
        scopes: parsed(row, 4, RECORD_KIND)?,
        default_scopes: parsed(row, 5, RECORD_KIND)?,
        access_token_ttl: ttl(6)?,
        refresh_idle_ttl: ttl(7)?,
        session_ttl: ttl(8)?,
        introspection: column(row, 9, RECORD_KIND)?,
        introspect_refresh_tokens: column(row, 15, RECORD_KIND)?,
        enabled: column(row, 10, RECORD_KIND)?,
        generation: counter(row, 11, RECORD_KIND)?,
        version: counter(row, 12, RECORD_KIND)?,
        created_at: Timestamp::from_millis(column(row, 13, RECORD_KIND)?),
        updated_at: Timestamp::from_millis(column(row, 14, RECORD_KIND)?),
    })
}
