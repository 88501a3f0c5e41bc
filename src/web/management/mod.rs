//! Management page for the operator, and the JSON API below it.
//!
//! [`Management::configure`] puts all routes behind one authentication check ([`gate`]). A request
//! without the operator's credentials is refused in the same way whether its path exists or not.
//! The operations on users, clients and sessions are in `admin`.

mod api;
mod cross_site;
mod gate;
mod page;
mod refusal;

use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use secrecy::{ExposeSecret, SecretString};

pub use page::{Assets, samples};

use super::templates::Templates;
use crate::admin::Admin;
use crate::domain::Digest;
use crate::password::PasswordPool;
use crate::rate_limit::RateLimiter;

/// Settings of the management page and its API.
#[derive(Clone, Debug)]
pub struct ManagementPolicy {
    /// Full path of the page. The API is at `/api` below it.
    pub path: String,
    /// Credentials of the operator.
    pub operator: Operator,
    /// Minimum number of characters of a new password.
    pub shortest_password: usize,
}

/// Credentials of the operator (RFC 7617). They are compared as digests, which takes the same time
/// however long a guess is and however much of it is right.
#[derive(Clone, Debug)]
pub struct Operator {
    name: String,
    username: Digest,
    password: Digest,
}

impl Operator {
    /// Creates the operator's credentials.
    pub fn new(username: &str, password: &SecretString) -> Self {
        let password = Digest::of(password.expose_secret().as_bytes());
        let name = username.to_owned();
        Self { name, username: Digest::of(username.as_bytes()), password }
    }

    /// Returns whether these are the operator's credentials. Both are always compared, so that the
    /// time does not reveal which one was wrong.
    fn is(&self, username: &str, password: &SecretString) -> bool {
        let presented = Self::new(username, password);
        (presented.username == self.username) & (presented.password == self.password)
    }
}

/// State of the management page and its API.
pub struct Management {
    path: String,
    operator: Operator,
    shortest_password: usize,
    /// Operations on users, clients and sessions.
    pub(super) admin: Admin,
    /// Workers that hash new passwords.
    pub(super) passwords: PasswordPool,
    templates: Arc<Templates>,
    /// Limits guesses at the operator's credentials.
    rate_limiter: RateLimiter,
}

impl Management {
    /// Creates the management page and its API.
    pub fn new(
        policy: ManagementPolicy,
        admin: Admin,
        passwords: PasswordPool,
        templates: Arc<Templates>,
        rate_limiter: RateLimiter,
    ) -> Self {
        // The path "/" becomes "": the page is at the root and gets every path that no other
        // endpoint has.
        let path = policy.path.trim_end_matches('/').to_owned();
        let ManagementPolicy { operator, shortest_password, .. } = policy;
        Self { path, operator, shortest_password, admin, passwords, templates, rate_limiter }
    }

    /// Registers the page and the API behind the authentication check. All other routes must be
    /// registered first, since some may lie below the page's path.
    pub(super) fn configure(&self, config: &mut ServiceConfig) {
        config.service(
            web::scope(&self.path)
                .service(api::scope())
                .configure(page::configure)
                .default_service(web::to(page::no_such_page))
                .wrap(from_fn(gate::guard)),
        );
    }

    /// Returns the path of the page; "" at the root.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Returns whether `path` belongs to the API.
    fn is_api(&self, path: &str) -> bool {
        let below = path.strip_prefix(&self.path).and_then(|rest| rest.strip_prefix("/api"));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
