//! Formatting of errors for the log.

use std::error::Error;

/// Formats an error and its sources in one line. A source whose text is already part of the line is
/// omitted.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}
