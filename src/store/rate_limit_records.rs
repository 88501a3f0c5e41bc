//! Records of the rate limiter in the main store: known devices, which outlive a restart, and the
//! orders and answers by which the command line works with servers that count in memory. The
//! counters themselves are in `super::rate_limit_store`.

use std::time::Duration;

use async_trait::async_trait;

use super::{Result, StoreError};
use crate::domain::{RateLimitKey, RateLimitKeyKind, Timestamp};

/// Time for which an order stays in the store. Servers read orders every second. After the default
/// window, the failures that an order clears no longer count anyway.
pub(super) const ORDER_TTL: Duration = Duration::from_secs(300);

/// A budget of failures that is spent: its address, network or name is limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentBudget {
    /// Key of the budget's counter.
    pub key: RateLimitKey,
    /// Kind of the credential that was guessed, as in the audit log.
    pub guessed: String,
    /// Address, network, user name or client id; `None` for a name that no user, client or
    /// operator has.
    pub subject: Option<String>,
    /// Time at which fewer failures than the budget will count, if no more are added.
    pub until: Timestamp,
}

/// Order to the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitOrder {
    /// Write the spent budgets to the store.
    List,
    /// Clear the counter of this key, or all counters for `None`.
    Clear(Option<RateLimitKey>),
}

/// Order to the servers, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    /// Identifier of the order, unique in the store.
    pub id: String,
    /// The order.
    pub order: RateLimitOrder,
}

/// Storage of known devices, spent budgets and orders.
#[async_trait]
pub trait RateLimitRecords: Send + Sync {
    /// Returns the known devices of a name in their stored form (`domain::KnownDevices`), or `None`
    /// if there are none.
    async fn find_devices(&self, name: &RateLimitKey) -> Result<Option<Vec<u8>>>;

    /// Replaces the known devices of a name. The store may delete them when all have expired.
    async fn put_devices(&self, name: &RateLimitKey, devices: &[u8], now: Timestamp) -> Result<()>;

    /// Deletes the known devices of a name.
    async fn delete_devices(&self, name: &RateLimitKey) -> Result<()>;

    /// Adds spent budgets, replaces those with the same key, and deletes those that have ended.
    async fn put_spent_budgets(&self, budgets: &[SpentBudget], now: Timestamp) -> Result<()>;

    /// Returns up to `limit` budgets that are spent at `now`, those that last longest first.
    async fn list_spent_budgets(&self, now: Timestamp, limit: u32) -> Result<Vec<SpentBudget>>;

    /// Adds orders, and deletes the spent budgets that they clear.
    async fn add_orders(&self, orders: &[RateLimitOrder], now: Timestamp) -> Result<()>;

    /// Returns the orders of the last minutes.
    async fn list_orders(&self) -> Result<Vec<StoredOrder>>;
}

/// Restores a rate limit key from the name of its kind and its digest.
pub(super) fn rate_limit_key(
    kind: &str,
    digest: [u8; 16],
    what: &'static str,
) -> Result<RateLimitKey> {
    let kind = RateLimitKeyKind::COUNTED.into_iter().find(|known| known.as_str() == kind);
    let kind = kind.ok_or_else(|| StoreError::corrupt(what, "unknown kind of budget"))?;
    Ok(RateLimitKey::from_parts(kind, digest))
}
