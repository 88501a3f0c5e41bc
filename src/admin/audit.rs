//! Audit events of the operator's changes. A change that the store has not confirmed is logged too,
//! since it may have been made.

use std::collections::BTreeSet;

use crate::domain::{Client, ClientId, Grant, Scope, SessionId, User, UserId};
use crate::observe::audit::{Outcome, operation};
use crate::store;

/// Id of the user, client or session that an operation changes, for its audit event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AuditSubject<'a> {
    pub(super) user: Option<UserId>,
    pub(super) client: Option<&'a ClientId>,
    pub(super) session: Option<SessionId>,
}

impl<'a> AuditSubject<'a> {
    pub(super) fn user(id: UserId) -> Self {
        Self { user: Some(id), ..Self::default() }
    }

    pub(super) fn client(id: &'a ClientId) -> Self {
        Self { client: Some(id), ..Self::default() }
    }

    pub(super) fn session(id: SessionId) -> Self {
        Self { session: Some(id), ..Self::default() }
    }

    /// Returns `written`, the result of a write. Logs the audit event `event` as unconfirmed if the
    /// write failed but may have taken place.
    pub(super) fn confirm<T>(
        self,
        event: &'static str,
        written: store::Result<T>,
    ) -> store::Result<T> {
        confirm(written, |outcome| {
            operation!(
                outcome,
                event,
                user = self.user.map(|id| id.to_string()),
                client = self.client.map(ToString::to_string),
                session = self.session.map(|id| id.to_string()),
            );
        })
    }
}

/// Returns `written`, the result of a write. Calls `log` if the write failed but may have taken
/// place.
pub(super) fn confirm<T>(written: store::Result<T>, log: impl FnOnce(Outcome)) -> store::Result<T> {
    written.inspect_err(|error| {
        if error.may_be_done() {
            log(Outcome::Unconfirmed);
        }
    })
}

pub(super) fn user_added(user: &User) {
    operation!(
        Outcome::Ok, event = "user_added", user = %user.id, username = user.username,
        enabled = user.enabled, scopes = limit(user),
    );
}

/// Writes the audit event of a changed user. `password_changed` is true whenever a password was
/// set, even if the new one equals the former one.
pub(super) fn user_changed(before: &User, after: &User, password_changed: bool, outcome: Outcome) {
    operation!(
        outcome, event = "user_changed", user = %after.id, username = after.username,
        enabled = after.enabled, scopes = limit(after),
        renamed = before.username != after.username,
        scopes_changed = before.scopes != after.scopes, password_changed,
    );
}

pub(super) fn client_added(client: &Client) {
    operation!(
        Outcome::Ok, event = "client_added", client = %client.id,
        confidential = client.is_confidential(), grants = names(&client.grants),
        scopes = client.scopes.as_str(), default_scopes = client.default_scopes.as_str(),
        introspection = client.introspection,
        introspect_refresh_tokens = client.introspect_refresh_tokens,
    );
}

pub(super) fn client_changed(before: &Client, after: &Client, outcome: Outcome) {
    let lifetimes =
        |client: &Client| (client.access_token_ttl, client.refresh_idle_ttl, client.session_ttl);
    operation!(
        outcome, event = "client_changed", client = %after.id, enabled = after.enabled,
        grants = names(&after.grants), scopes = after.scopes.as_str(),
        default_scopes = after.default_scopes.as_str(), introspection = after.introspection,
        introspect_refresh_tokens = after.introspect_refresh_tokens,
        renamed = before.name != after.name, grants_changed = before.grants != after.grants,
        scopes_changed = before.scopes != after.scopes,
        default_scopes_changed = before.default_scopes != after.default_scopes,
        introspection_changed = before.introspection != after.introspection,
        introspect_refresh_tokens_changed =
            before.introspect_refresh_tokens != after.introspect_refresh_tokens,
        lifetimes_changed = lifetimes(before) != lifetimes(after),
        secret_changed = before.kind != after.kind,
    );
}

/// Returns the scopes that the user may be granted; `None` if the user has no limit.
fn limit(user: &User) -> Option<&str> {
    user.scopes.as_ref().map(Scope::as_str)
}

fn names(grants: &BTreeSet<Grant>) -> String {
    grants.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" ")
}
