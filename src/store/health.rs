//! Reachability and name of a store.

use async_trait::async_trait;

use super::Result;

/// Reachability check of a store.
#[async_trait]
pub trait Health: Send + Sync {
    /// Returns the kind and the location of the store, for the log.
    fn name(&self) -> &str;

    /// Checks with one small operation that the store works.
    async fn check(&self) -> Result<()>;

    /// Checks with one round trip that the Redis server in front of the store answers. Returns
    /// `None` if there is none. The store works without Redis.
    async fn check_front(&self) -> Option<Result<()>> {
        None
    }
}
