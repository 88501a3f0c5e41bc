//! Import records and imported access tokens in SQLite.

use std::collections::HashSet;

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, column, failed};
use crate::domain::{Digest, SessionId, Timestamp};
use crate::store::{ImportStore, LegacyToken, Page, Result};

#[async_trait]
impl ImportStore for SqliteStore {
    async fn is_imported(&self, key: &str) -> Result<bool> {
        let found = self.find_row("SELECT 1 FROM imported WHERE key = ?1", [key], |_| Ok(()))?;
        Ok(found.is_some())
    }

    async fn filter_imported(&self, keys: &[String]) -> Result<HashSet<String>> {
        self.readers.with(|connection| {
            let sql = "SELECT 1 FROM imported WHERE key = ?1";
            let mut statement = connection.prepare_cached(sql).map_err(failed)?;
            let mut found = HashSet::new();
            for key in keys {
                if statement.exists([key]).map_err(failed)? {
                    found.insert(key.clone());
                }
            }
            Ok(found)
        })
    }

    async fn record_imports(&self, keys: &[String]) -> Result<()> {
        let keys = keys.to_vec();
        self.write(move |connection| {
            let sql = "INSERT OR IGNORE INTO imported (key) VALUES (?1)";
            let mut statement = connection.prepare_cached(sql)?;
            keys.iter().try_for_each(|key| statement.execute([key]).map(drop))
        })
        .await
    }

    async fn record_import(&self, key: &str) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO imported (key) VALUES (?1)";
        self.execute(sql, [key.to_owned()]).await.map(drop)
    }

    async fn delete_import_record(&self, key: &str) -> Result<()> {
        self.execute("DELETE FROM imported WHERE key = ?1", [key.to_owned()]).await.map(drop)
    }

    async fn list_import_records(&self, page: &Page) -> Result<Vec<String>> {
        let after = page.cursor.as_deref().unwrap_or("");
        let sql = "SELECT key FROM imported WHERE key > ?1 ORDER BY key LIMIT ?2";
        self.list_rows(sql, params![after, page.limit], |row| column(row, 0, "import record"))
    }

    async fn add_legacy_token(
        &self,
        access: &Digest,
        session: SessionId,
        expires_at: Timestamp,
    ) -> Result<()> {
        let sql =
            "INSERT OR REPLACE INTO aliases (access, session, expires_at) VALUES (?1, ?2, ?3)";
        let values = (*access.as_bytes(), *session.as_bytes(), expires_at.as_millis());
        self.execute(sql, values).await.map(drop)
    }

    async fn find_legacy_token(&self, access: &Digest) -> Result<Option<SessionId>> {
        let sql = "SELECT session FROM aliases WHERE access = ?1";
        self.find_row(sql, [access.as_bytes()], |row| {
            Ok(SessionId::from_bytes(column(row, 0, "imported token")?))
        })
    }

    async fn list_legacy_tokens(
        &self,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<LegacyToken>> {
        let after: &[u8] = after.map_or(&[], |digest| digest.as_bytes());
        let sql = "SELECT access, session, expires_at FROM aliases
            WHERE access > ?1 ORDER BY access LIMIT ?2";
        self.list_rows(sql, params![after, limit], |row| {
            Ok(LegacyToken {
                access: Digest::from_bytes(column(row, 0, "imported token")?),
                session: SessionId::from_bytes(column(row, 1, "imported token")?),
                expires_at: Timestamp::from_millis(column(row, 2, "imported token")?),
            })
        })
    }
}
