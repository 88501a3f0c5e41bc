//! Reachability and name of a store.

use async_trait::async_trait;

use super::Result;

/// Name and reachability check of a store.
#[async_trait]
pub trait Health: Send + Sync {
    /// Returns the kind and the location of the store, for log messages.
    fn name(&self) -> &str;

    /// Runs one small operation on the store and returns an error if the store does not work.
    async fn check(&self) -> Result<()>;
}
