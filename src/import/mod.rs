//! Import of users, clients and tokens from other servers and from files.

pub mod flask_sentinel;
mod line_number_reader;
pub mod lines;
mod report;
pub mod users;

pub use report::{ImportCounts, ImportReport, Skipped};
