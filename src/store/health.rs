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
}
