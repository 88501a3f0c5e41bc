//! The protocol: OAuth 2.0 (RFC 6749) with introspection (RFC 7662) and revocation (RFC 7009).
//!
//! [`Provider`] takes parameters and answers values; it knows no HTTP framework. One file per grant
//! and per endpoint, with the RFC's MUST quoted where it is obeyed. Not here: how tokens rotate
//! (`domain::Session`), what errors look like on the wire (`web::error`).

mod activity;
mod audit;
mod client_auth;
mod client_credentials;
mod error;
mod imported;
mod introspection;
mod metadata;
mod params;
mod password;
mod proven;
mod refresh;
mod revocation;
mod scope;
mod throttle;
mod token;
mod unanswered;
mod verify;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

pub use activity::{Activity, Hour};
pub use client_auth::{Authorization, BasicCredentials, Presented};
pub use error::{ClientFailure, Error, ErrorCode, GrantFailure, Unavailable};
pub use introspection::{ActiveToken, Introspection};
pub use metadata::{Endpoints, Metadata};
pub use params::Params;
pub use throttle::{Attempt, Guessed, Throttle, ThrottlePolicy, Throttled};
pub use verify::{Verified, VerifyError};

use crate::domain::{Clock, Grant, Lifetimes};
use crate::observe::metrics::Metrics;
use crate::password::PasswordPool;
use crate::store::Stores;
use imported::Imported;
use proven::Proven;
use unanswered::Unanswered;

/// What the server grants, and for how long.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The grants that are switched on.
    pub grants: BTreeSet<Grant>,
    /// How long things last, where a client has no lifetimes of its own.
    pub lifetimes: Lifetimes,
    /// The public URL of the server (RFC 8414 §2), if it has one.
    pub issuer: Option<String>,
    /// How guessing is slowed.
    pub throttle: ThrottlePolicy,
}

/// A request to one of the endpoints that authenticate clients.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its `Authorization` header.
    pub authorization: &'a Authorization<'a>,
    /// The parameters of the body.
    pub params: &'a Params<'a>,
    /// Where it came from, for the audit log and the throttle.
    pub address: Option<IpAddr>,
}

/// The OAuth 2.0 server, without the HTTP.
#[derive(Clone)]
pub struct Provider {
    stores: Stores,
    passwords: PasswordPool,
    clock: Arc<dyn Clock>,
    policy: Policy,
    throttle: Throttle,
    metrics: Option<Arc<Metrics>>,
    unanswered: Arc<Unanswered>,
    imported: Arc<Imported>,
    proven: Arc<Proven>,
    activity: Arc<Activity>,
}

/// What grants are called in metrics; the last is for what is none.
pub const GRANT_NAMES: [&str; 4] = ["password", "refresh_token", "client_credentials", "other"];

/// What came of a request for tokens, in metrics.
pub fn token_outcomes() -> Vec<&'static str> {
    std::iter::once("ok").chain(ErrorCode::ALL.map(ErrorCode::as_str)).collect()
}

impl Provider {
    /// A provider on these stores.
    pub fn new(
        stores: Stores,
        passwords: PasswordPool,
        clock: Arc<dyn Clock>,
        policy: Policy,
    ) -> Self {
        let attempts = Arc::clone(&stores.attempts);
        let throttle = Throttle::new(attempts, Arc::clone(&clock), policy.throttle);
        Self {
            stores,
            passwords,
            clock,
            policy,
            throttle,
            metrics: None,
            unanswered: Arc::default(),
            imported: Arc::default(),
            proven: Arc::default(),
            activity: Arc::default(),
        }
    }

    /// The same, seen by these.
    #[must_use]
    pub fn observed_by(self, metrics: Option<Arc<Metrics>>) -> Self {
        let throttle = match &metrics {
            Some(metrics) => self.throttle.observed_by(Arc::clone(&metrics.throttled)),
            None => self.throttle,
        };
        Self { metrics, throttle, ..self }
    }

    /// What slows guessing, for whoever else takes passwords.
    pub const fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// What has happened lately.
    pub const fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// How long things last, where a client has no lifetimes of its own.
    pub const fn lifetimes(&self) -> &Lifetimes {
        &self.policy.lifetimes
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not.
    pub async fn ready(&self) -> Result<(), Error> {
        Ok(self.stores.health.check().await?)
    }
}
