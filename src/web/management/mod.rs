//! The management page, for the operator, and the API below it.
//!
//! [`Management::configure`] puts all of it behind one gate ([`gate`]): who is not the operator gets the
//! same answer on every path, there or not. What is done to users, clients and sessions is `admin`'s
//! business.

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

/// Where the page is, and who may see it.
#[derive(Clone, Debug)]
pub struct ManagementPolicy {
    /// The page's full path; the API is at `/api` below it.
    pub path: String,
    /// Who may see it.
    pub operator: Operator,
    /// The fewest characters that a password may be set to.
    pub shortest_password: usize,
}

/// The operator's name and password (RFC 7617), as digests: comparing those takes the same time
/// however long a guess is, and however much of it is right.
#[derive(Clone, Debug)]
pub struct Operator {
    name: String,
    username: Digest,
    password: Digest,
}

impl Operator {
    /// The operator who is called `username`.
    pub fn new(username: &str, password: &SecretString) -> Self {
        let password = Digest::of(password.expose_secret().as_bytes());
        let name = username.to_owned();
        Self { name, username: Digest::of(username.as_bytes()), password }
    }

    /// Whether these are the operator's. Both are compared, so that time does not tell which was wrong.
    fn is(&self, username: &str, password: &SecretString) -> bool {
        let presented = Self::new(username, password);
        (presented.username == self.username) & (presented.password == self.password)
    }
}

/// What the page and the API work with.
pub struct Management {
    path: String,
    operator: Operator,
    shortest_password: usize,
    /// What an operator can do.
    pub(super) admin: Admin,
    /// Who hashes new passwords.
    pub(super) passwords: PasswordPool,
    templates: Arc<Templates>,
}

impl Management {
    /// A page over these.
    pub fn new(
        policy: ManagementPolicy,
        admin: Admin,
        passwords: PasswordPool,
        templates: Arc<Templates>,
    ) -> Self {
        // A path of "/" is the root: everything that is not another endpoint's.
        let path = policy.path.trim_end_matches('/').to_owned();
        let ManagementPolicy { operator, shortest_password, .. } = policy;
        Self { path, operator, shortest_password, admin, passwords, templates }
    }

    /// Everything below the page's path, behind the gate. It comes after all other routes, since one of
    /// theirs may lie below it.
    pub(super) fn configure(&self, config: &mut ServiceConfig) {
        config.service(
            web::scope(&self.path)
                .service(api::scope())
                .configure(page::configure)
                .default_service(web::to(page::no_such_page))
                .wrap(from_fn(gate::guard)),
        );
    }

    /// Where it is; "" at the root.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether this is a path of the API.
    fn is_api(&self, path: &str) -> bool {
        let below = path.strip_prefix(&self.path).and_then(|rest| rest.strip_prefix("/api"));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
