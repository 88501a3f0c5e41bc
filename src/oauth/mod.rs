//! The protocol: OAuth 2.0 (RFC 6749) with introspection (RFC 7662) and revocation (RFC 7009).
//!
//! [`Provider`] takes request parameters and returns values; it knows no HTTP framework. Each grant
//! and each endpoint has its own file, and a MUST of an RFC is quoted at the line that obeys it.
//! Not here: the rules of token rotation (`domain::Session`), rate limits (`rate_limit`) and the
//! HTTP form of errors (`web::error`).

mod audit;
mod caller_cache;
mod client_auth;
mod client_credentials;
mod error;
mod introspection;
mod legacy_tokens;
mod metadata;
mod outages;
mod params;
mod password;
mod refresh;
mod revocation;
mod scope;
mod token;
mod verify;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

pub use client_auth::{Authorization, AuthorizationHeader, BasicCredentials};
pub use error::{ClientFailure, Error, ErrorCode, GrantFailure, Unavailable};
pub use introspection::{ActiveToken, Introspection};
pub use metadata::{Endpoints, Metadata};
pub use params::Params;
pub use verify::{Requirements, Verified, VerifyError};

use crate::domain::{Clock, Grant, Lifetimes, Timestamp};
use crate::observe::activity::HourlyActivity;
use crate::observe::metrics::Metrics;
use crate::password::PasswordPool;
use crate::rate_limit::RateLimiter;
use crate::store::Stores;
use caller_cache::CallerCache;
use legacy_tokens::LegacyTokens;
use outages::Outages;

/// Policy of the OAuth provider: enabled grants, lifetimes and issuer.
#[derive(Clone, Debug)]
pub struct OAuthPolicy {
    /// The grant types that the server supports.
    pub grants: BTreeSet<Grant>,
    /// Lifetimes of tokens and sessions for clients that have none of their own.
    pub lifetimes: Lifetimes,
    /// The issuer (RFC 8414 §2), which is the public URL of the server, if one is configured.
    pub issuer: Option<String>,
}

/// A request to the token, introspection or revocation endpoint, which authenticate clients.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The `Authorization` header of the request.
    pub authorization: &'a Authorization<'a>,
    /// The parameters of the request body.
    pub params: &'a Params<'a>,
    /// Address of the caller, for the audit log and the rate limits; `None` if it is unknown.
    pub address: Option<IpAddr>,
}

/// The OAuth 2.0 server without HTTP. Clones share all state.
#[derive(Clone)]
pub struct Provider {
    stores: Stores,
    passwords: PasswordPool,
    clock: Arc<dyn Clock>,
    policy: OAuthPolicy,
    rate_limiter: RateLimiter,
    metrics: Option<Arc<Metrics>>,
    outages: Arc<Outages>,
    legacy_tokens: Arc<LegacyTokens>,
    caller_cache: Arc<CallerCache>,
    activity: Arc<HourlyActivity>,
}

/// Values of the label `grant` of the token request metric. `other` stands for unknown grant types.
pub const GRANT_NAMES: [&str; 4] = ["password", "refresh_token", "client_credentials", "other"];

/// Returns the values of the label `outcome` of the token request metric: `ok` and the error codes.
pub fn token_outcomes() -> Vec<&'static str> {
    std::iter::once("ok").chain(ErrorCode::ALL.map(ErrorCode::as_str)).collect()
}

impl Provider {
    /// Creates a provider that works on `stores`.
    pub fn new(
        stores: Stores,
        passwords: PasswordPool,
        clock: Arc<dyn Clock>,
        policy: OAuthPolicy,
        rate_limiter: RateLimiter,
    ) -> Self {
        Self {
            stores,
            passwords,
            clock,
            policy,
            rate_limiter,
            metrics: None,
            outages: Arc::default(),
            legacy_tokens: Arc::default(),
            caller_cache: Arc::default(),
            activity: Arc::default(),
        }
    }

    /// Returns the provider with `metrics`, if any, in which it counts token requests.
    #[must_use]
    pub fn with_metrics(self, metrics: Option<Arc<Metrics>>) -> Self {
        Self { metrics, ..self }
    }

    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the hourly counts of started sessions and failed logins.
    pub const fn activity(&self) -> &Arc<HourlyActivity> {
        &self.activity
    }

    /// Returns whether the server supports this grant type; clients must also be allowed to use it.
    pub fn supports(&self, grant: Grant) -> bool {
        self.policy.grants.contains(&grant)
    }

    /// Returns the lifetimes of tokens and sessions for clients that have none of their own.
    pub const fn lifetimes(&self) -> &Lifetimes {
        &self.policy.lifetimes
    }

    /// Checks that a login or a refresh would succeed now, by the results of the last writes. Makes
    /// no call.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when a write to the store, or to Redis if access tokens are published
    /// there, may fail.
    pub fn check_ready(&self) -> Result<(), Error> {
        self.stores.check_ready()?;
        self.end_outage_if_over();
        Ok(())
    }

    /// Ends the current outage of refreshes, if any, if writes that began after its last failure
    /// have succeeded. Probes of the stores are such writes.
    pub fn end_outage_if_over(&self) {
        if let Some(failed_at) = self.outages.last_failure()
            && self.stores.have_written_since(failed_at)
        {
            self.outages.end(self.now());
        }
    }
}
