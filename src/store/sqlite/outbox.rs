//! Transactional outbox of Redis invalidations in SQLite: one row for each pending invalidation
//! ([`Invalidation`]), written in the transaction of the change.
//!
//! Temporary triggers on the connection of the writer add the rows. They exist as long as that
//! connection, so a process that does not record invalidations has no triggers. The table keeps its
//! former name, `losses`.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{SqliteStore, column, parsed};
use crate::domain::SessionId;
use crate::store::{Invalidation, InvalidationTarget, Outbox, Result};

/// SQL triggers that record the Redis invalidations (removals of stale copies) of ended or renamed
/// sessions and changed or deleted clients. Deleting an expired session needs none.
const TRIGGERS: &str = "
    CREATE TEMP TRIGGER session_ended AFTER DELETE ON sessions
        WHEN OLD.expires_at > unixepoch('subsec') * 1000
        BEGIN INSERT OR REPLACE INTO losses (session) VALUES (OLD.id); END;
    CREATE TEMP TRIGGER session_renamed AFTER UPDATE OF username ON sessions
        BEGIN INSERT OR REPLACE INTO losses (session) VALUES (OLD.id); END;
    CREATE TEMP TRIGGER client_changed AFTER UPDATE ON clients
        BEGIN INSERT OR REPLACE INTO losses (client) VALUES (OLD.id); END;
    CREATE TEMP TRIGGER client_gone AFTER DELETE ON clients
        BEGIN INSERT OR REPLACE INTO losses (client) VALUES (OLD.id); END;";

/// Records a pending Redis invalidation for a session that has lost an access token.
pub(super) fn record(connection: &Connection, session: SessionId) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO losses (session) VALUES (?1)")?;
    statement.execute([session.as_bytes()]).map(drop)
}

impl SqliteStore {
    /// Returns this store with recording of pending Redis invalidations (removals of stale copies).
    ///
    /// # Errors
    /// [`crate::store::StoreError`] if the writer thread cannot create the SQL triggers.
    pub async fn with_outbox(mut self) -> Result<Self> {
        self.write(|connection| connection.execute_batch(TRIGGERS)).await?;
        self.records_invalidations = true;
        Ok(self)
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn pending(&self, after: Option<i64>, limit: u32) -> Result<Vec<Invalidation>> {
        let sql =
            "SELECT number, session, client FROM losses WHERE number > ?1 ORDER BY number LIMIT ?2";
        self.list_rows(sql, params![after.unwrap_or(i64::MIN), limit], |row| {
            let session: Option<[u8; 12]> = column(row, 1, "invalidation")?;
            let target = match session {
                Some(id) => InvalidationTarget::Session(SessionId::from_bytes(id)),
                None => InvalidationTarget::Client(parsed(row, 2, "invalidation")?),
            };
            Ok(Invalidation { revision: column(row, 0, "invalidation")?, target })
        })
    }

    async fn acknowledge(&self, delivered: &[Invalidation]) -> Result<()> {
        let numbers: Vec<i64> =
            delivered.iter().map(|invalidation| invalidation.revision).collect();
        self.write(move |connection| {
            let mut statement =
                connection.prepare_cached("DELETE FROM losses WHERE number = ?1")?;
            for number in numbers {
                statement.execute(params![number])?;
            }
            Ok(())
        })
        .await
    }
}
