//! Client-side effects of a fault, as a row of the table in `docs/faults.md`.

use std::time::Duration;

/// Responses from the beginning of the fault until everything works again.
#[derive(Debug)]
pub struct Row {
    pub server: String,
    pub what: String,
    /// Number of correct responses.
    pub answered: usize,
    /// Number of 503 responses.
    pub unavailable: usize,
    /// Number of 503 responses of the readiness probe.
    pub unready: usize,
    /// Longest response time.
    pub longest: Duration,
    /// Duration of the fault.
    pub lasted: Duration,
    /// Time from the beginning of the fault to the last 503.
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
