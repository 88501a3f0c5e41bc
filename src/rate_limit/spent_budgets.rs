//! Spent budgets, and the orders of the command line to list or clear budgets.
//!
//! Servers read orders from the store once a second, and write spent budgets only if an order asks
//! for them. So no attempt waits for the store, and no unauthenticated caller causes a write.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{CredentialKind, RateLimiter, keys};
use crate::domain::{RateLimitKey, RateLimitKeyKind, Timestamp};
use crate::store::{
    RateLimitOrder, RateLimitRecords, RateLimitStore, Result, SpentBudget, StoredOrder, Stores,
};

/// Maximum number of spent budgets that a process remembers. Further ones are not listed.
const MAX_BUDGETS: usize = 1000;
/// Time in which servers follow an order: they read orders once a second.
pub const ORDER_TIME: Duration = Duration::from_secs(2);

/// Spent budgets of this process.
#[derive(Default)]
pub(super) struct SpentBudgets(Mutex<HashMap<RateLimitKey, SpentBudget>>);

impl SpentBudgets {
    pub(super) fn add(&self, budget: SpentBudget, now: Timestamp) {
        let mut budgets = self.lock();
        if budgets.len() >= MAX_BUDGETS {
            budgets.retain(|_, budget| budget.until > now);
        }
        if budgets.len() < MAX_BUDGETS || budgets.contains_key(&budget.key) {
            budgets.insert(budget.key, budget);
        }
    }

    fn all(&self, now: Timestamp) -> Vec<SpentBudget> {
        self.lock().values().filter(|budget| budget.until > now).cloned().collect()
    }

    fn clear(&self, key: Option<RateLimitKey>) {
        let mut budgets = self.lock();
        match key {
            Some(key) => drop(budgets.remove(&key)),
            None => budgets.clear(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RateLimitKey, SpentBudget>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the orders in the store.
pub struct OrderFollower {
    limiter: RateLimiter,
    records: Arc<dyn RateLimitRecords>,
    /// Orders that were in the store at the last reading; `None` before the first.
    known: Option<HashSet<String>>,
}

impl OrderFollower {
    /// Creates the follower for a rate limiter. Only one should exist in a process.
    pub fn new(limiter: RateLimiter, records: Arc<dyn RateLimitRecords>) -> Self {
        Self { limiter, records, known: None }
    }

    /// Reads the orders in the store and follows the new ones. Orders from before the first reading
    /// are skipped, because the process has counted nothing before.
    ///
    /// # Errors
    /// [`crate::store::StoreError`] if the store fails.
    pub async fn follow(&mut self, now: Timestamp) -> Result<()> {
        let found = self.records.list_orders().await?;
        if let Some(known) = &self.known {
            let is_new = |stored: &&StoredOrder| !known.contains(&stored.id);
            let new: Vec<_> = found.iter().filter(is_new).map(|stored| stored.order).collect();
            self.clear(&new, now).await?;
            if new.contains(&RateLimitOrder::List) {
                let spent = self.limiter.spent_budgets().all(now);
                self.records.put_spent_budgets(&spent, now).await?;
            }
        }
        self.known = Some(found.into_iter().map(|stored| stored.id).collect());
        Ok(())
    }

    async fn clear(&self, orders: &[RateLimitOrder], now: Timestamp) -> Result<()> {
        let mut keys = Vec::new();
        for order in orders {
            let RateLimitOrder::Clear(key) = order else { continue };
            self.limiter.spent_budgets().clear(*key);
            match key {
                Some(key) => {
                    if key.kind() == RateLimitKeyKind::Name {
                        // The command may have deleted them from the store.
                        self.limiter.forget_devices(*key, now);
                    }
                    keys.push(*key);
                }
                None => self.limiter.counters().clear(None).await?,
            }
        }
        self.limiter.counters().clear(Some(&keys)).await
    }
}

/// Orders the servers to write their spent budgets, which takes up to [`ORDER_TIME`].
///
/// # Errors
/// [`crate::store::StoreError`] if the store fails.
pub async fn order_list(stores: &Stores, now: Timestamp) -> Result<()> {
    stores.rate_limit_records.add_orders(&[RateLimitOrder::List], now).await
}

/// Forgets a user name whose password was set, or which its user no longer has: its known devices,
/// and the failures that count for it. Servers follow within [`ORDER_TIME`].
///
/// # Errors
/// [`crate::store::StoreError`] if the store, or Redis where it has the counters, fails.
pub async fn forget_user(stores: &Stores, username: &str, now: Timestamp) -> Result<()> {
    let name = keys::name(CredentialKind::Password, username);
    stores.rate_limit_records.delete_devices(&name).await?;
    clear_budgets(stores, Some(&keys::keys_of_user(username)), now).await
}

/// Clears the budgets with these keys, or all budgets if `keys` is `None`: those of this process
/// and those that servers share at once, those in the memory of other servers within
/// [`ORDER_TIME`].
///
/// # Errors
/// [`crate::store::StoreError`] if the store, or Redis where it has the counters, fails.
pub async fn clear_budgets(
    stores: &Stores,
    keys: Option<&[RateLimitKey]>,
    now: Timestamp,
) -> Result<()> {
    let counters: &dyn RateLimitStore = &*stores.rate_limits;
    counters.clear(keys).await?;
    let orders = match keys {
        None => vec![RateLimitOrder::Clear(None)],
        Some(keys) => keys.iter().map(|key| RateLimitOrder::Clear(Some(*key))).collect(),
    };
    stores.rate_limit_records.add_orders(&orders, now).await
}
