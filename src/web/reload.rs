//! What is read from files, and can be read again while the server answers.

use crate::domain::Timestamp;

/// Why something could not be read again. What was there before goes on being used.
pub type ReloadError = Box<dyn std::error::Error + Send + Sync>;

/// Something that was read from files.
pub trait Reload: Send + Sync {
    /// What it is, for the log.
    fn what(&self) -> &'static str;

    /// Until when what is used is valid, if it has an end.
    fn not_after(&self) -> Option<Timestamp> {
        None
    }

    /// Reads it again, and uses it from now on.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    fn reload(&self) -> Result<(), ReloadError>;
}
