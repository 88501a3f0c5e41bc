//! Rate limits for guesses at passwords and client secrets. One caller cannot lock out another.
//!
//! - An *address* has a budget of failures in a sliding window, and so have the networks around
//!   it. When one is spent, attempts from there are refused.
//! - A *name*, of a user, a client or the operator, with many failures is under attack. Attempts on
//!   it run one at a time, with a growing pause between them. When a pause is over, `selection`
//!   selects the next attempt: those with the fewest failures and refusals come first, and chance
//!   decides between equals. Unknown names are treated like existing ones; otherwise the limits
//!   would reveal which names exist.
//! - A *known device*, that is, a pair of name and address with an earlier successful login, is
//!   neither refused nor delayed because of other failures. Its own failures have a budget.
//! - A wrong password that is repeated from one address counts once.
//!
//! A success does not restore the budget: an attacker with one account could guess at others in
//! between. Only guesses at secrets chosen by people and at client secrets are counted. Bearer and
//! refresh tokens are not: they have 256 random bits, so guessing them is hopeless, and a resource
//! server that asks about invalid tokens, or a client that presents an old one, is not guessing.
//!
//! Not here: the counters (`store::RateLimitStore`), and the responses (`web`).

mod audit;
mod devices;
mod keys;
mod limiter;
mod queue;
mod repeated_guesses;
mod selection;
mod spent_budgets;

use std::time::Duration;

pub use keys::{keys_of_client, keys_of_network, keys_of_user};
pub use limiter::{Attempt, RateLimiter};
pub use spent_budgets::{ORDER_TIME, OrderFollower, clear_budgets, forget_user, order_list};

/// Rate limit policy: the maximum numbers of failed attempts in a sliding window.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitPolicy {
    /// Whether failed attempts to authenticate are rate-limited.
    pub enabled: bool,
    /// Number of failures in the sliding window after which attempts from an address are refused;
    /// networks around it have multiples of it.
    pub failures_per_address: u32,
    /// Number of failures in the sliding window after which attempts on a user name run one at a
    /// time, with pauses between them.
    pub failures_per_user: u32,
    /// Length of the sliding window in which failures count.
    pub window: Duration,
}

/// The kind of credential that an attempt guesses at. Each kind has its own budgets (maximum
/// numbers of failures), so that a service with an outdated client secret does not keep users at
/// the same address from logging in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A user's password.
    Password,
    /// A client secret.
    ClientSecret,
    /// The operator's user name and password.
    Operator,
}

impl CredentialKind {
    /// All kinds of credential.
    const ALL: [Self; 3] = [Self::Password, Self::ClientSecret, Self::Operator];

    /// Returns the name of this credential kind, for the audit log and the keys of the counters.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ClientSecret => "client secret",
            Self::Operator => "operator",
        }
    }
}

/// Error returned for a refused attempt: too many attempts have failed or too many are waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts have failed, try again later")]
pub struct RateLimited {
    /// Time after which the caller may try again, in whole seconds, at least one.
    pub retry_after: Duration,
}
