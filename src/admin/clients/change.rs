//! Changes to a client.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::{Client, ClientKind, Grant, Scope, Timestamp};

/// A change to a client. A field that is `None` leaves the value as it is.
#[derive(Clone, Debug, Default)]
pub struct ClientChange {
    /// New display name.
    pub name: Option<String>,
    /// New set of grants that the client may use.
    pub grants: Option<BTreeSet<Grant>>,
    /// New set of scopes that the client may be granted.
    pub scopes: Option<Scope>,
    /// New set of scopes for requests without a `scope` parameter.
    pub default_scopes: Option<Scope>,
    /// New lifetime of access tokens; `Some(None)` restores the server's.
    pub access_token_ttl: Option<Option<Duration>>,
    /// New idle lifetime of refresh tokens; `Some(None)` restores the server's.
    pub refresh_idle_ttl: Option<Option<Duration>>,
    /// New absolute lifetime of sessions; `Some(None)` restores the server's.
    pub session_ttl: Option<Option<Duration>>,
    /// Whether the client may introspect tokens.
    pub introspection: Option<bool>,
    /// Whether the client is enabled. Disabling ends the client's sessions.
    pub enabled: Option<bool>,
    /// New client type with the digest of the secret. Used to replace the secret.
    pub kind: Option<ClientKind>,
}

impl ClientChange {
    /// Returns the next version of the client record, with the change applied.
    pub(super) fn applied_to(&self, client: &Client, now: Timestamp) -> Client {
        fn new_or_old<T: Clone>(new: &Option<T>, old: &T) -> T {
            new.as_ref().unwrap_or(old).clone()
        }
        let enabled = new_or_old(&self.enabled, &client.enabled);
        let default_scopes = new_or_old(&self.default_scopes, &client.default_scopes);
        let scopes = new_or_old(&self.scopes, &client.scopes);
        // Default scopes are a subset of the allowed scopes. Removing an allowed scope removes it
        // from the defaults, unless the same change sets the defaults; then they extend the allowed
        // scopes.
        let (scopes, default_scopes) = match (&self.scopes, &self.default_scopes) {
            (Some(_), None) => {
                let kept = default_scopes.intersection(&scopes);
                (scopes, kept)
            }
            _ => (scopes.union(&default_scopes), default_scopes),
        };
        Client {
            id: client.id.clone(),
            name: new_or_old(&self.name, &client.name),
            kind: new_or_old(&self.kind, &client.kind),
            grants: new_or_old(&self.grants, &client.grants),
            scopes,
            default_scopes,
            access_token_ttl: new_or_old(&self.access_token_ttl, &client.access_token_ttl),
            refresh_idle_ttl: new_or_old(&self.refresh_idle_ttl, &client.refresh_idle_ttl),
            session_ttl: new_or_old(&self.session_ttl, &client.session_ttl),
            introspection: new_or_old(&self.introspection, &client.introspection),
            enabled,
            generation: client.generation + u64::from(client.enabled && !enabled),
            version: client.version + 1,
            created_at: client.created_at,
            updated_at: now,
        }
    }
}
