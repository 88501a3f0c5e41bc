//! Operations on the budgets of the rate limiter.

use super::{Admin, AdminError};
use crate::domain::{RateLimitKey, User};
use crate::rate_limit::{ORDER_TIME, clear_budgets, keys_of_user, order_list};
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

    /// Clears the budget of a user whose password was set. A failure does not fail the change.
    pub(super) async fn clear_budget_of(&self, user: &User) {
        let keys = keys_of_user(&user.username);
        if let Err(error) = clear_budgets(&self.stores, Some(&keys), self.clock.now()).await {
            tracing::warn!(
                user = %user.id, %error,
                "the password was set, but failures with earlier passwords still count: logins may \
                 wait until throttle.window is over, or sentinel throttle clear --user is run",
            );
        }
    }
}
