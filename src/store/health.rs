//! Reachability, name and closing of a store.

use async_trait::async_trait;

use super::Result;

/// Name, reachability check and closing of a store.
#[async_trait]
pub trait Health: Send + Sync {
    /// Returns the kind and the location of the store, for log messages.
    fn name(&self) -> &str;

    /// Runs one small operation on the store and returns an error if the store does not work.
    async fn check(&self) -> Result<()>;

    /// Completes the work in progress and closes the connections of the store, if it has any that
    /// must not end with the process. Later operations fail.
    async fn close(&self) {}
}
