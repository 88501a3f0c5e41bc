//! What clients saw of a fault, as a row of the table in `docs/faults.md`.

use std::time::Duration;

/// What clients saw, from the beginning of the fault until everything worked again.
#[derive(Debug)]
pub struct Row {
    pub server: String,
    pub what: String,
    /// Answers that were right.
    pub answered: usize,
    /// 503.
    pub unavailable: usize,
    /// Of these, how many said that the server is not ready.
    pub unready: usize,
    /// The longest that anybody waited for an answer.
    pub longest: Duration,
    /// How long the fault lasted.
    pub lasted: Duration,
    /// From its beginning until the last 503.
    pub failing: Duration,
}

impl Row {
    pub fn print(&self) {
        println!(
            "| {} | {} | {:.1} s | {} | {} | {:.1} s | {:.1} s |",
            self.server,
            self.what,
            self.lasted.as_secs_f64(),
            self.answered,
            self.unavailable,
            self.longest.as_secs_f64(),
            self.failing.as_secs_f64(),
        );
    }
}
