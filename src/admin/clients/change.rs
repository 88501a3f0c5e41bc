//! Changes to a client.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::admin::Versions;
use crate::domain::{Client, ClientKind, Grant, Scope, Timestamp};

/// Change to a client. A field that is `None` leaves the client's value as it is.
#[derive(Clone, Debug, Default)]
pub struct ClientChange {
    /// New display name of the client.
    pub name: Option<String>,
    /// New set of grants that the client may use.
    pub grants: Option<BTreeSet<Grant>>,
    /// New set of scopes that the client may be granted.
    pub scopes: Option<Scope>,
    /// New set of scopes granted if a request of the client has no `scope` parameter.
    pub default_scopes: Option<Scope>,
    /// New lifetime of the client's access tokens; `Some(None)` restores the server's default.
    pub access_token_ttl: Option<Option<Duration>>,
    /// New idle lifetime of the client's refresh tokens; `Some(None)` restores the server's
    /// default.
    pub refresh_idle_ttl: Option<Option<Duration>>,
    /// New absolute lifetime of the client's sessions; `Some(None)` restores the server's default.
    pub session_ttl: Option<Option<Duration>>,
    /// Whether the client may introspect tokens. `Some(false)` also withdraws
    /// `introspect_refresh_tokens`, unless that is set.
    pub introspection: Option<bool>,
    /// Whether introspection reports refresh tokens to the client.
    pub introspect_refresh_tokens: Option<bool>,
    /// Whether the client is enabled. Disabling ends the client's sessions.
    pub enabled: Option<bool>,
    /// New client type with the stored form of a new secret, for a confidential client.
    pub kind: Option<ClientKind>,
    /// Versions of the client (counter of changes) to which the change may be applied.
    pub versions: Versions,
}

impl ClientChange {
    /// Returns the record of `client` with this change applied, its version (counter of changes)
    /// increased by one, and `now` as the time of the change.
    pub(super) fn applied_to(&self, client: &Client, now: Timestamp) -> Client {
        fn new_or_old<T: Clone>(new: &Option<T>, old: &T) -> T {
            new.as_ref().unwrap_or(old).clone()
        }
        let enabled = new_or_old(&self.enabled, &client.enabled);
        let introspection = new_or_old(&self.introspection, &client.introspection);
        let mut scopes = new_or_old(&self.scopes, &client.scopes);
        let mut default_scopes = new_or_old(&self.default_scopes, &client.default_scopes);
        // Default scopes are a subset of the allowed scopes. Removing an allowed scope removes it
        // from the defaults, unless the same change sets the defaults; then they extend the allowed
        // scopes.
        if self.scopes.is_some() && self.default_scopes.is_none() {
            default_scopes = default_scopes.intersection(&scopes);
        } else {
            scopes = scopes.union(&default_scopes);
        }
        Client {
            name: new_or_old(&self.name, &client.name),
            kind: new_or_old(&self.kind, &client.kind),
            grants: new_or_old(&self.grants, &client.grants),
            scopes,
            default_scopes,
            access_token_ttl: new_or_old(&self.access_token_ttl, &client.access_token_ttl),
            refresh_idle_ttl: new_or_old(&self.refresh_idle_ttl, &client.refresh_idle_ttl),
            session_ttl: new_or_old(&self.session_ttl, &client.session_ttl),
            introspection,
            // Withdrawing introspection withdraws both permissions.
            introspect_refresh_tokens: self
                .introspect_refresh_tokens
                .unwrap_or(client.introspect_refresh_tokens && introspection),
            enabled,
            generation: client.generation + u64::from(client.enabled && !enabled),
            version: client.version + 1,
            updated_at: now,
            ..client.clone()
        }
    }
}
