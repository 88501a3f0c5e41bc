//! Settings and state of the management page and its API.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::admin::Admin;
use crate::domain::{Digest, to_nfc};
use crate::password::PasswordPool;
use crate::rate_limit::RateLimiter;
use crate::web::templates::Templates;

/// Settings of the management page and its API.
#[derive(Clone, Debug)]
pub struct ManagementConfig {
    /// Full URL path of the management page. The API is at `/api` below this path.
    pub path: String,
    /// User name and password of the operator.
    pub operator: Operator,
    /// Minimum number of characters of a new password of a user.
    pub shortest_password: usize,
}

/// User name and password of the operator (HTTP Basic, RFC 7617). Both are compared as digests of
/// the text in Unicode Normalization Form C, which takes the same time however long a guess is and
/// however much of it is right.
#[derive(Clone, Debug)]
pub struct Operator {
    name: String,
    username: Digest,
    password: Digest,
}

impl Operator {
    /// Creates the operator's credentials from the configured user name and password.
    pub fn new(username: &str, password: &SecretString) -> Self {
        let digest = |text: &str| Digest::of(to_nfc(text).as_bytes());
        let (name, password) = (username.to_owned(), digest(password.expose_secret()));
        Self { name, username: digest(username), password }
    }

    /// Returns the user name of the operator.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether `username` and `password` are the operator's. Both are always compared, so
    /// that the time does not reveal which one was wrong.
    pub(super) fn is(&self, username: &str, password: &SecretString) -> bool {
        let presented = Self::new(username, password);
        (presented.username == self.username) & (presented.password == self.password)
    }
}

/// State of the management page and its API.
pub struct Management {
    path: String,
    operator: Operator,
    shortest_password: usize,
    /// Administrative operations on users, clients and sessions.
    pub(super) admin: Admin,
    /// Pool of workers that hash new passwords of users.
    pub(super) passwords: PasswordPool,
    pub(super) templates: Arc<Templates>,
    /// Rate limiter of guesses at the operator's credentials.
    pub(super) rate_limiter: RateLimiter,
}

impl Management {
    /// Creates the state of the management page and its API.
    pub fn new(
        config: ManagementConfig,
        admin: Admin,
        passwords: PasswordPool,
        templates: Arc<Templates>,
        rate_limiter: RateLimiter,
    ) -> Self {
        // The path "/" becomes "": the page is at the root and gets every path that no other
        // endpoint has.
        let path = config.path.trim_end_matches('/').to_owned();
        let ManagementConfig { operator, shortest_password, .. } = config;
        Self { path, operator, shortest_password, admin, passwords, templates, rate_limiter }
    }

    /// Returns the URL path of the management page, without a trailing slash; "" at the root.
    pub(in crate::web) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the user name and password of the operator.
    pub(super) const fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Returns the minimum number of characters of a new password of a user.
    pub(super) const fn shortest_password(&self) -> usize {
        self.shortest_password
    }

    /// Returns whether a URL path belongs to the management API.
    pub(super) fn is_api(&self, path: &str) -> bool {
        let below = path.strip_prefix(&self.path).and_then(|rest| rest.strip_prefix("/api"));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
