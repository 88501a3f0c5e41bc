//! Common parts of audit events, which have the log target `audit`.
//!
//! An event identifies users, clients and sessions by data that is safe to show, never by a token,
//! secret or password.

use std::net::IpAddr;

/// The log target of all audit events.
pub const TARGET: &str = "audit";

/// Outcome of an operation, as an audit event states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The operation succeeded.
    Ok,
    /// The store did not confirm the operation. It may have succeeded, or may still succeed.
    Unconfirmed,
    /// The operation succeeded and was then reverted, because Redis could not be updated.
    Undone,
    /// The operation failed, or was completed only in part.
    Failed,
}

impl Outcome {
    /// Returns the name of the outcome in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unconfirmed => "unconfirmed",
            Self::Undone => "undone",
            Self::Failed => "failed",
        }
    }
}

/// Logs an audit event of an operator's change: at `info` if it succeeded, otherwise as a warning
/// with the outcome.
macro_rules! operation {
    ($outcome:expr, $($fields:tt)*) => {
        match $outcome {
            $crate::observe::audit::Outcome::Ok => {
                tracing::info!(target: $crate::observe::audit::TARGET, $($fields)*);
            }
            other => {
                let outcome = other.as_str();
                tracing::warn!(target: $crate::observe::audit::TARGET, outcome, $($fields)*);
            }
        }
    };
}

pub(crate) use operation;

/// Formats a caller's address, or "local" if there is none, as on a Unix socket.
pub fn format_address(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "local".to_owned(), |address| address.to_string())
}
