//! [`RateLimitRecords`] in SQLite.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, column};
use crate::domain::{KnownDevices, RateLimitKey, Timestamp};
use crate::store::rate_limit_records::{ORDER_TTL, rate_limit_key};
use crate::store::{RateLimitOrder, RateLimitRecords, Result, SpentBudget, StoredOrder};

const BUDGET: &str = "spent budget";
const ORDER: &str = "order about budgets";
const LIST: &str = "list";
const CLEAR: &str = "clear";

#[async_trait]
impl RateLimitRecords for SqliteStore {
    async fn find_devices(&self, name: &RateLimitKey) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT devices FROM known_devices WHERE name = ?1";
        self.find_row(sql, [name.as_bytes()], |row| column(row, 0, "known devices"))
    }

    async fn put_devices(&self, name: &RateLimitKey, devices: &[u8], now: Timestamp) -> Result<()> {
        let (name, devices) = (*name.as_bytes(), devices.to_vec());
        let expiry = now.plus(KnownDevices::TTL).as_millis();
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO known_devices (name, devices, expires_at)
                     VALUES (?1, ?2, ?3)",
                )?
                .execute(params![name, devices, expiry])?;
            let mut purge =
                connection.prepare_cached("DELETE FROM known_devices WHERE expires_at <= ?1")?;
            purge.execute([now.as_millis()]).map(drop)
        })
        .await
    }

    async fn delete_devices(&self, name: &RateLimitKey) -> Result<()> {
        let name = *name.as_bytes();
        self.write(move |connection| {
            let mut delete =
                connection.prepare_cached("DELETE FROM known_devices WHERE name = ?1")?;
            delete.execute([name]).map(drop)
        })
        .await
    }

    async fn put_spent_budgets(&self, budgets: &[SpentBudget], now: Timestamp) -> Result<()> {
        let budgets = budgets.to_vec();
        self.write(move |connection| {
            let mut put = connection.prepare_cached(
                "INSERT OR REPLACE INTO spent_budgets (kind, digest, guessed, subject, ends_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for budget in &budgets {
                put.execute(params![
                    budget.key.kind().as_str(),
                    budget.key.as_bytes(),
                    budget.guessed,
                    budget.subject,
                    budget.until.as_millis(),
                ])?;
            }
            let mut purge =
                connection.prepare_cached("DELETE FROM spent_budgets WHERE ends_at <= ?1")?;
            purge.execute([now.as_millis()]).map(drop)
        })
        .await
    }

    async fn list_spent_budgets(&self, now: Timestamp, limit: u32) -> Result<Vec<SpentBudget>> {
        let sql = "SELECT kind, digest, guessed, subject, ends_at FROM spent_budgets
            WHERE ends_at > ?1 ORDER BY ends_at DESC, digest LIMIT ?2";
        self.list_rows(sql, params![now.as_millis(), limit], |row| {
            let kind: String = column(row, 0, BUDGET)?;
            Ok(SpentBudget {
                key: rate_limit_key(&kind, column(row, 1, BUDGET)?, BUDGET)?,
                guessed: column(row, 2, BUDGET)?,
                subject: column(row, 3, BUDGET)?,
                until: Timestamp::from_millis(column(row, 4, BUDGET)?),
            })
        })
    }

    async fn add_orders(&self, orders: &[RateLimitOrder], now: Timestamp) -> Result<()> {
        let orders = orders.to_vec();
        let oldest = now.as_millis().saturating_sub(millis(ORDER_TTL));
        self.write(move |connection| {
            let mut purge =
                connection.prepare_cached("DELETE FROM rate_limit_orders WHERE made_at < ?1")?;
            purge.execute([oldest])?;
            let mut insert = connection.prepare_cached(
                "INSERT INTO rate_limit_orders (action, kind, digest, made_at)
                 VALUES (?1, ?2, ?3, ?4)",
            )?;
            let mut delete = connection
                .prepare_cached("DELETE FROM spent_budgets WHERE kind = ?1 AND digest = ?2")?;
            for order in &orders {
                let (action, key) = match order {
                    RateLimitOrder::List => (LIST, None),
                    RateLimitOrder::Clear(key) => (CLEAR, key.as_ref()),
                };
                let (kind, digest) =
                    (key.map(|key| key.kind().as_str()), key.map(|key| key.as_bytes()));
                insert.execute(params![action, kind, digest, now.as_millis()])?;
                match order {
                    RateLimitOrder::List => {}
                    RateLimitOrder::Clear(Some(_)) => {
                        delete.execute(params![kind, digest])?;
                    }
                    RateLimitOrder::Clear(None) => {
                        connection.execute("DELETE FROM spent_budgets", [])?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    async fn list_orders(&self) -> Result<Vec<StoredOrder>> {
        let sql = "SELECT number, action, kind, digest FROM rate_limit_orders";
        self.list_rows(sql, [], |row| {
            let number: i64 = column(row, 0, ORDER)?;
            let (action, kind): (String, Option<String>) =
                (column(row, 1, ORDER)?, column(row, 2, ORDER)?);
            let key = match kind {
                None => None,
                Some(kind) => Some(rate_limit_key(&kind, column(row, 3, ORDER)?, ORDER)?),
            };
            let order =
                if action == LIST { RateLimitOrder::List } else { RateLimitOrder::Clear(key) };
            Ok(StoredOrder { id: number.to_string(), order })
        })
    }
}

fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
