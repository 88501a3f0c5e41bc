//! Which versions of a record a change is meant for: a guard against lost updates.

use super::AdminError;

/// Which versions a change is meant for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// Whichever there is.
    #[default]
    Any,
    /// One of these.
    OneOf(Vec<u64>),
}

impl Versions {
    /// Lets a record of this version be changed.
    ///
    /// # Errors
    /// [`AdminError::OtherVersion`].
    pub fn check(&self, version: u64) -> Result<(), AdminError> {
        match self {
            Self::OneOf(versions) if !versions.contains(&version) => Err(AdminError::OtherVersion),
            _ => Ok(()),
        }
    }
}
