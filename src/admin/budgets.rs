//! Operations on the budgets of the rate limiter.

use super::{Admin, AdminError};
use crate::domain::{RateLimitKey, UserId};
use crate::rate_limit::{ORDER_TIME, clear_budgets, forget_user, order_list};
use crate::store::SpentBudget;

impl Admin {
    /// Returns up to `limit` spent budgets of all running servers, those that last longest first.
    /// Waits for the servers, which takes two seconds.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store fails.
    pub async fn spent_budgets(&self, limit: u32) -> Result<Vec<SpentBudget>, AdminError> {
        order_list(&self.stores, self.clock.now()).await?;
        tokio::time::sleep(ORDER_TIME).await;
        Ok(self.stores.rate_limit_records.list_spent_budgets(self.clock.now(), limit).await?)
    }

    /// Clears the budgets with these keys, or all budgets if `keys` is `None`. Servers that count
    /// in memory follow within two seconds.
    ///
    /// # Errors
    /// [`AdminError::Store`] when the store, or Redis where it has the counters, fails.
    pub async fn clear_budgets(&self, keys: Option<&[RateLimitKey]>) -> Result<(), AdminError> {
        clear_budgets(&self.stores, keys, self.clock.now()).await?;
        tracing::info!(target: "audit", event = "throttle_cleared", all = keys.is_none());
        Ok(())
    }

    /// Forgets the known devices and the failures of a user name, after the password was set or the
    /// name was given up. A failure does not fail the change.
    pub(super) async fn forget_username(&self, id: UserId, username: &str) {
        if let Err(error) = forget_user(&self.stores, username, self.clock.now()).await {
            tracing::warn!(
                user = %id, %error,
                "the user was changed, but known devices and failures of the former password or \
                 name may be kept: logins may wait until throttle.window is over, or sentinel \
                 throttle clear --user is run, and devices are known for up to 30 days",
            );
        }
    }
}
