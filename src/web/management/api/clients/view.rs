//! JSON representations of clients in requests and responses. None of them has the digest of a
//! client secret.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::{ClientChange, NewClient};
use crate::domain::{self, Client};
use crate::web::management::api::fields::{self, Grant, Grants, ScopeToken, Seconds, given};
use crate::web::management::api::problem::Problem;

/// Client type (RFC 6749 §2.1).
#[derive(Clone, Copy, Deserialize, Serialize, PartialEq, Eq, ToSchema)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub(in crate::web::management::api) enum Kind {
    /// Client that cannot keep a secret, such as a mobile app or a page in the browser.
    Public,
    /// Client that can keep a secret, such as a server.
    Confidential,
}

impl TryFrom<String> for Kind {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "public" => Ok(Self::Public),
            "confidential" => Ok(Self::Confidential),
            _ => Err("expected public or confidential"),
        }
    }
}

/// A registered client (RFC 6749 §2).
#[derive(Serialize, ToSchema)]
#[schema(as = Client)]
pub(in crate::web::management::api) struct View {
    /// Client identifier (RFC 6749 §2.2). It never changes.
    #[schema(
        min_length = 1,
        max_length = 255,
        example = "jJUdWyvNVQOgfgkmBRGkQ7cJpNzPZYg1vUXGEqTm"
    )]
    client_id: String,
    /// Display name. It may be empty.
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    /// Grant types that the client may use.
    grants: Vec<Grant>,
    /// Scopes that the client may be granted.
    scopes: Vec<ScopeToken>,
    /// Scopes granted if a request has no `scope` parameter (RFC 6749 §3.3).
    default_scopes: Vec<ScopeToken>,
    /// Lifetime of access tokens, in seconds; null means the server's.
    #[schema(required)]
    access_token_ttl: Option<u64>,
    /// Idle lifetime of refresh tokens, in seconds; null means the server's.
    #[schema(required)]
    refresh_idle_ttl: Option<u64>,
    /// Absolute lifetime of sessions, in seconds; null means the server's.
    #[schema(required)]
    session_ttl: Option<u64>,
    /// Whether the client may introspect tokens (RFC 7662 §2.1).
    introspection: bool,
    /// Whether the client is enabled. A disabled client is always rejected and has no sessions.
    enabled: bool,
    /// Time of creation (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// Time of the last change (RFC 3339).
    #[schema(format = DateTime)]
    updated_at: String,
}

impl View {
    pub(super) fn of(client: &Client) -> Self {
        let seconds = |ttl: Option<Duration>| ttl.map(|ttl| ttl.as_secs());
        Self {
            client_id: client.id.to_string(),
            name: client.name.clone(),
            kind: if client.is_confidential() { Kind::Confidential } else { Kind::Public },
            grants: client.grants.iter().copied().map(Grant::from).collect(),
            scopes: fields::tokens(&client.scopes),
            default_scopes: fields::tokens(&client.default_scopes),
            access_token_ttl: seconds(client.access_token_ttl),
            refresh_idle_ttl: seconds(client.refresh_idle_ttl),
            session_ttl: seconds(client.session_ttl),
            introspection: client.introspection,
            enabled: client.enabled,
            created_at: client.created_at.to_string(),
            updated_at: client.updated_at.to_string(),
        }
    }
}

/// A new client, with its secret if it is confidential.
#[derive(Serialize, ToSchema)]
#[schema(as = AddedClient)]
pub(in crate::web::management::api) struct Added {
    #[serde(flatten)]
    pub(super) client: View,
    /// Client secret of a confidential client. It cannot be read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) client_secret: Option<String>,
}

/// Client credentials (RFC 6749 §2.3).
#[derive(Serialize, ToSchema)]
#[schema(as = Credentials)]
pub(in crate::web::management::api) struct Credentials {
    /// Client identifier.
    pub(super) client_id: String,
    /// Client secret. It cannot be read again.
    pub(super) client_secret: String,
}

/// A client to register. A public client has neither the grant `client_credentials` nor
/// `introspection`.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewClient)]
#[serde(deny_unknown_fields)]
pub(in crate::web::management::api) struct Add {
    #[serde(rename = "type")]
    kind: Kind,
    /// Display name.
    #[serde(default)]
    #[schema(example = "My app")]
    name: String,
    /// Grant types that the client may use; if absent, all that its type allows.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Grants, required = false)]
    grants: Option<Grants>,
    /// Scopes that the client may be granted, beside the default scopes.
    #[serde(default)]
    scopes: Vec<ScopeToken>,
    /// Scopes granted if a request has no `scope` parameter (RFC 6749 §3.3).
    #[serde(default)]
    default_scopes: Vec<ScopeToken>,
    /// Lifetime of access tokens, in seconds; null means the server's.
    #[serde(default)]
    access_token_ttl: Option<Seconds>,
    /// Idle lifetime of refresh tokens, in seconds; null means the server's.
    #[serde(default)]
    refresh_idle_ttl: Option<Seconds>,
    /// Absolute lifetime of sessions, in seconds; null means the server's.
    #[serde(default)]
    session_ttl: Option<Seconds>,
    /// Whether the client may introspect tokens (RFC 7662 §2.1); confidential clients only.
    #[serde(default)]
    introspection: bool,
}

impl Add {
    /// Returns the client to register, or a [`Problem`] if a public client asks for the client
    /// credentials grant or introspection.
    pub(super) fn check(self) -> Result<NewClient, Problem> {
        let invalid = |pointer: String, detail: &str| {
            Err(Problem::Invalid { pointer, detail: detail.to_owned() })
        };
        if self.kind == Kind::Public {
            let mut grants = self.grants.iter().flat_map(Grants::iter);
            if let Some(at) = grants.position(|one| one == domain::Grant::ClientCredentials) {
                return invalid(format!("/grants/{at}"), "it is for confidential clients");
            }
            if self.introspection {
                return invalid("/introspection".to_owned(), "it is for confidential clients");
            }
        }
        Ok(NewClient {
            name: self.name,
            confidential: self.kind == Kind::Confidential,
            grants: self.grants.map(|grants| grants.to_set()).unwrap_or_default(),
            scopes: fields::scope(&self.scopes),
            default_scopes: fields::scope(&self.default_scopes),
            access_token_ttl: self.access_token_ttl.map(Seconds::as_duration),
            refresh_idle_ttl: self.refresh_idle_ttl.map(Seconds::as_duration),
            session_ttl: self.session_ttl.map(Seconds::as_duration),
            introspection: self.introspection,
        })
    }
}

/// Merge patch of a client (RFC 7396). Absent members keep their values.
#[derive(Deserialize, ToSchema)]
#[schema(as = ClientPatch)]
#[serde(deny_unknown_fields)]
pub(in crate::web::management::api) struct Edit {
    /// Display name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false)]
    name: Option<String>,
    /// Grant types that the client may use.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Grants, required = false)]
    grants: Option<Grants>,
    /// Scopes that the client may be granted. Unless `default_scopes` is set too, default scopes
    /// that are not among them are removed.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<ScopeToken>, required = false)]
    scopes: Option<Vec<ScopeToken>>,
    /// Scopes granted if a request has no `scope` parameter. They are added to `scopes`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<ScopeToken>, required = false)]
    default_scopes: Option<Vec<ScopeToken>>,
    /// Lifetime of access tokens, in seconds; null means the server's.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Seconds>, required = false)]
    access_token_ttl: Option<Option<Seconds>>,
    /// Idle lifetime of refresh tokens, in seconds; null means the server's.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Seconds>, required = false)]
    refresh_idle_ttl: Option<Option<Seconds>>,
    /// Absolute lifetime of sessions, in seconds; null means the server's.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Seconds>, required = false)]
    session_ttl: Option<Option<Seconds>>,
    /// Whether the client may introspect tokens (RFC 7662 §2.1); confidential clients only.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    introspection: Option<bool>,
    /// Whether the client is enabled; false ends its sessions.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
}

impl Edit {
    pub(super) fn into_change(self) -> ClientChange {
        let ttl = |ttl: Option<Option<Seconds>>| ttl.map(|ttl| ttl.map(Seconds::as_duration));
        ClientChange {
            name: self.name,
            grants: self.grants.map(|grants| grants.to_set()),
            scopes: self.scopes.as_deref().map(fields::scope),
            default_scopes: self.default_scopes.as_deref().map(fields::scope),
            access_token_ttl: ttl(self.access_token_ttl),
            refresh_idle_ttl: ttl(self.refresh_idle_ttl),
            session_ttl: ttl(self.session_ttl),
            introspection: self.introspection,
            enabled: self.enabled,
            kind: None,
        }
    }
}
