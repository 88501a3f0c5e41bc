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
mod introspection;
mod metadata;
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

pub use activity::{Activity, Hour};
pub use client_auth::{BasicCredentials, Presented};
pub use error::{ClientFailure, Error, ErrorCode, GrantFailure, Unavailable};
pub use introspection::{ActiveToken, Introspection};
pub use metadata::{Endpoints, Metadata};
pub use params::Params;
pub use verify::{Verified, VerifyError};

use crate::domain::{Clock, Grant, Lifetimes};
use crate::password::PasswordPool;
use crate::store::Stores;

/// What the server grants, and for how long.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The grants that are switched on.
    pub grants: BTreeSet<Grant>,
    /// How long things last, where a client has no lifetimes of its own.
    pub lifetimes: Lifetimes,
    /// The public URL of the server (RFC 8414 §2), if it has one.
    pub issuer: Option<String>,
}

/// A request to one of the endpoints that authenticate clients.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What its `Authorization` header holds.
    pub presented: &'a Presented,
    /// The parameters of the body.
    pub params: &'a Params<'a>,
    /// Where it came from, for the audit log.
    pub address: Option<IpAddr>,
}

/// The OAuth 2.0 server, without the HTTP.
#[derive(Clone)]
pub struct Provider {
    stores: Stores,
    passwords: PasswordPool,
    clock: Arc<dyn Clock>,
    policy: Policy,
    activity: Arc<Activity>,
}

impl Provider {
    /// A provider on these stores.
    pub fn new(
        stores: Stores,
        passwords: PasswordPool,
        clock: Arc<dyn Clock>,
        policy: Policy,
    ) -> Self {
        Self { stores, passwords, clock, policy, activity: Arc::default() }
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
