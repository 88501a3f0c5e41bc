//! Formatting of errors for the log.

use std::error::Error;

/// Formats an error and its sources in one line. A source whose text is already part of the line is
/// omitted.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = cause.source();
    }
    text
}
