//! What was taken over from another server, in SQLite.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, column};
use crate::domain::{Digest, SessionId, Timestamp};
use crate::store::{ImportStore, Result};

#[async_trait]
impl ImportStore for SqliteStore {
    async fn is_imported(&self, key: &str) -> Result<bool> {
        let found = self.find_row("SELECT 1 FROM imported WHERE key = ?1", [key], |_| Ok(()))?;
        Ok(found.is_some())
    }

    async fn note_imported(&self, key: &str) -> Result<()> {
        let key = key.to_owned();
        self.write(move |connection| {
            let note = "INSERT OR IGNORE INTO imported (key) VALUES (?1)";
            connection.prepare_cached(note)?.execute([key]).map(drop)
        })
        .await
    }

    async fn add_alias(
        &self,
        access: &Digest,
        session: SessionId,
        expires_at: Timestamp,
    ) -> Result<()> {
        let access = *access.as_bytes();
        self.write(move |connection| {
            let add =
                "INSERT OR REPLACE INTO aliases (access, session, expires_at) VALUES (?1, ?2, ?3)";
            let values = params![access, session.as_bytes(), expires_at.as_millis()];
            connection.prepare_cached(add)?.execute(values).map(drop)
        })
        .await
    }

    async fn find_alias(&self, access: &Digest) -> Result<Option<SessionId>> {
        let sql = "SELECT session FROM aliases WHERE access = ?1";
        self.find_row(sql, [access.as_bytes()], |row| {
            Ok(SessionId::from_bytes(column(row, 0, "alias")?))
        })
    }
}
