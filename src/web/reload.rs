//! Data that are read from files and can be reloaded while the server runs.

use crate::domain::Timestamp;

/// Reason why a reload failed. The previous data stay in use.
pub type ReloadError = Box<dyn std::error::Error + Send + Sync>;

/// Data that were read from files.
pub trait Reload: Send + Sync {
    /// Returns the name of the data, for the log.
    fn name(&self) -> &'static str;

    /// Returns the end of validity of the data in use; `None` if they do not expire.
    fn not_after(&self) -> Option<Timestamp> {
        None
    }

    /// Reads the files again and uses the new data from now on.
    ///
    /// # Errors
    /// Returns the reason if the files are unreadable or invalid. The previous data stay in use.
    fn reload(&self) -> Result<(), ReloadError>;
}
