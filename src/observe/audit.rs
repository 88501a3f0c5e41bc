//! Audit events: who did what to whose tokens, users and clients. A log target of their own, `audit`.
//!
//! An event names users, clients and sessions by what is safe to show; never a token, a secret or a password.

use std::net::IpAddr;

/// The log target of all audit events.
pub const TARGET: &str = "audit";

/// What became of what was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has taken place.
    Ok,
    /// The store did not say: it may have taken place, or may yet.
    Unconfirmed,
    /// It has taken place, and was taken back, since Redis could not be told.
    Undone,
    /// It has not taken place, or not to its end.
    Failed,
}

impl Outcome {
    /// As the log calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unconfirmed => "unconfirmed",
            Self::Undone => "undone",
            Self::Failed => "failed",
        }
    }
}

/// An event of what an operator does: with its outcome, as a warning, if that is not as it should be.
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

/// Where somebody is. Who comes over a Unix socket has no address.
pub fn shown(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "local".to_owned(), |address| address.to_string())
}
