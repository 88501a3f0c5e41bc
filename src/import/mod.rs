//! Import of users, clients and tokens from other servers and from files.

pub mod flask_sentinel;
pub mod lines;
mod numbered;
mod report;
pub mod users;

pub use report::{Counts, Report, Skipped};
