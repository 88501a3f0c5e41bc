//! Result of a write that may need a Redis invalidation.

use super::Result;

/// Result of a write that took place, and of the Redis invalidation that followed it. Callers write
/// the audit event of the change first, and then report a failed invalidation.
#[derive(Debug)]
#[must_use = "the Redis invalidation may have failed"]
pub struct Written<T> {
    /// Result of the write.
    pub value: T,
    /// [`super::StoreError::Invalidation`] if the invalidation failed. `Ok` if none was needed.
    pub invalidation: Result<()>,
}

impl<T> Written<T> {
    /// Returns the result of the write.
    ///
    /// # Errors
    /// [`super::StoreError::Invalidation`] if the invalidation failed.
    pub fn into_result(self) -> Result<T> {
        self.invalidation.map(|()| self.value)
    }
}

impl<T> From<T> for Written<T> {
    /// Creates the result of a write that needs no invalidation, or whose invalidation succeeded.
    fn from(value: T) -> Self {
        Self { value, invalidation: Ok(()) }
    }
}
