//! Data that are read from files and can be reloaded while the server runs.

use crate::domain::Timestamp;

/// Reason why files could not be read again. The data that were read before stay in use.
pub type ReloadError = Box<dyn std::error::Error + Send + Sync>;

/// Data, such as the TLS certificate, that were read from files and can be reloaded at run time.
pub trait Reload: Send + Sync {
    /// Returns the name of the reloadable data for log messages, such as `certificate`.
    fn name(&self) -> &'static str;

    /// Returns the time when the loaded data expire, as certificates do; `None` if they never do.
    fn not_after(&self) -> Option<Timestamp> {
        None
    }

    /// Reads the files again, and uses the new data instead of the previous data from now on.
    ///
    /// # Errors
    /// Returns the reason if the files are unreadable or invalid. The previous data stay in use.
    fn reload(&self) -> Result<(), ReloadError>;
}
