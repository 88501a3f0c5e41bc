//! What comes from other servers.

pub mod flask_sentinel;
mod report;

pub use report::{Counts, Report, Skipped};
