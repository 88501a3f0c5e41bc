//! Whether a store can be reached, and what it is called.

use async_trait::async_trait;

use super::Result;

/// Tells whether a store can be reached.
#[async_trait]
pub trait Health: Send + Sync {
    /// What the store is, and where, for the log.
    fn name(&self) -> &str;

    /// One small round trip.
    async fn check(&self) -> Result<()>;

    /// The same to what stands in front of the store, if something does. The store can do without.
    async fn check_front(&self) -> Option<Result<()>> {
        None
    }
}
