//! What comes from other servers.

pub mod flask_sentinel;
pub mod lines;
mod numbered;
mod report;
pub mod users;

pub use report::{Counts, Report, Skipped};
