//! Result of a write that may need a Redis invalidation.

use super::Result;

/// Result of a write that took place, and of the Redis invalidation (removal of stale copies) that
/// followed the write. Callers write the audit event of the change first, and then report a failed
/// invalidation.
#[derive(Debug)]
#[must_use = "the Redis invalidation may have failed"]
pub struct Written<T> {
    /// Value that the write returned, such as whether a record was deleted.
    pub value: T,
    /// Result of the Redis invalidation after the write: [`super::StoreError::Invalidation`] if it
    /// failed, `Ok` if it succeeded or was not needed.
    pub invalidation: Result<()>,
}

impl<T> Written<T> {
    /// Returns the value of the write, or the error of the Redis invalidation that followed the
    /// write.
    ///
    /// # Errors
    /// [`super::StoreError::Invalidation`] if the Redis invalidation failed. The write took place.
    pub fn into_result(self) -> Result<T> {
        self.invalidation.map(|()| self.value)
    }
}

impl<T> From<T> for Written<T> {
    /// Creates the result of a write that needs no Redis invalidation, or whose invalidation
    /// succeeded.
    fn from(value: T) -> Self {
        Self { value, invalidation: Ok(()) }
    }
}
