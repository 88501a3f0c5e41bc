//! Record versions for optimistic concurrency, which prevents lost updates.

use super::AdminError;

/// The record versions to which a change may be applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// Any version.
    #[default]
    Any,
    /// One of these versions.
    OneOf(Vec<u64>),
}

impl Versions {
    /// Checks that a record of this version may be changed.
    ///
    /// # Errors
    /// [`AdminError::OtherVersion`] when `version` is none of the allowed ones.
    pub fn check(&self, version: u64) -> Result<(), AdminError> {
        match self {
            Self::OneOf(versions) if !versions.contains(&version) => Err(AdminError::OtherVersion),
            _ => Ok(()),
        }
    }
}
