//! Follows the orders of `sentinel throttle` to list or clear budgets.

use std::sync::Arc;
use std::time::Duration;

use super::every;
use crate::domain::Clock;
use crate::rate_limit::OrderFollower;

const INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(mut follower: OrderFollower, clock: Arc<dyn Clock>) {
    let mut ticks = every(INTERVAL);
    loop {
        ticks.tick().await;
        // Other tasks log an outage of the store. The next tick tries again.
        if let Err(error) = follower.follow(clock.now()).await {
            tracing::debug!(%error, "cannot follow the orders of sentinel throttle");
        }
    }
}
