//! Record versions for optimistic concurrency, which prevents lost updates.

use super::AdminError;

/// Versions (counter of changes) that a record must have for a change to be applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// Any version of the record.
    #[default]
    Any,
    /// Only the versions in the list.
    OneOf(Vec<u64>),
}

impl Versions {
    /// Checks that a record with the version `version` may be changed.
    ///
    /// # Errors
    /// [`AdminError::OtherVersion`] when `version` is not allowed.
    pub fn check(&self, version: u64) -> Result<(), AdminError> {
        match self {
            Self::OneOf(versions) if !versions.contains(&version) => Err(AdminError::OtherVersion),
            _ => Ok(()),
        }
    }
}
