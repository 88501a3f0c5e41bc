//! JSON representations of clients in requests and responses. None of them has the digest of a
//! client secret.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::{ClientChange, NewClient};
use crate::domain::{self, Client};
use crate::web::management::api::fields::{self, Grant, Grants, ScopeToken, Seconds, given};
use crate::web::management::api::problem::Problem;

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Clone, Copy, Deserialize, Serialize, PartialEq, Eq, ToSchema)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub(in crate::web::management::api) enum Kind {
    /// It cannot: an app, a page.
    Public,
    /// It can.
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

/// A client.
#[derive(Serialize, ToSchema)]
#[schema(as = Client)]
pub(in crate::web::management::api) struct View {
    /// It stays for good.
    #[schema(
        min_length = 1,
        max_length = 255,
        example = "jJUdWyvNVQOgfgkmBRGkQ7cJpNzPZYg1vUXGEqTm"
    )]
    client_id: String,
    /// What people call it; may be empty.
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    /// The grants it may use.
    grants: Vec<Grant>,
    /// All that it may be granted.
    scopes: Vec<ScopeToken>,
    /// What it is granted when it asks for nothing.
    default_scopes: Vec<ScopeToken>,
    /// How long its access tokens live, in seconds; null for as long as the server says.
    #[schema(required)]
    access_token_ttl: Option<u64>,
    /// How long its refresh tokens live that nobody uses, in seconds; null for as long as the server says.
    #[schema(required)]
    refresh_idle_ttl: Option<u64>,
    /// How long its sessions live at most, in seconds; null for as long as the server says.
    #[schema(required)]
    session_ttl: Option<u64>,
    /// Whether it may ask whose a token is.
    introspection: bool,
    /// Whether it may do anything.
    enabled: bool,
    /// When the client was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When the client last changed.
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

/// A client that was registered.
#[derive(Serialize, ToSchema)]
#[schema(as = AddedClient)]
pub(in crate::web::management::api) struct Added {
    #[serde(flatten)]
    pub(super) client: View,
    /// What it logs in with, if it is a confidential one. It cannot be read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) client_secret: Option<String>,
}

/// What a client logs in with.
#[derive(Serialize, ToSchema)]
#[schema(as = Credentials)]
pub(in crate::web::management::api) struct Credentials {
    /// Its id.
    pub(super) client_id: String,
    /// Its secret. It cannot be read again.
    pub(super) client_secret: String,
}

/// A client to be registered. A public one has neither the grant client_credentials nor introspection.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewClient)]
#[serde(deny_unknown_fields)]
pub(in crate::web::management::api) struct Add {
    #[serde(rename = "type")]
    kind: Kind,
    /// What people call it.
    #[serde(default)]
    #[schema(example = "My app")]
    name: String,
    /// The grants it may use; left out, all that its type may have.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Grants, required = false)]
    grants: Option<Grants>,
    /// All that it may be granted, beside the default scopes.
    #[serde(default)]
    scopes: Vec<ScopeToken>,
    /// What it is granted when it asks for nothing.
    #[serde(default)]
    default_scopes: Vec<ScopeToken>,
    /// How long its access tokens live; null for as long as the server says.
    #[serde(default)]
    access_token_ttl: Option<Seconds>,
    /// How long its refresh tokens live that nobody uses; null for as long as the server says.
    #[serde(default)]
    refresh_idle_ttl: Option<Seconds>,
    /// How long its sessions live at most; null for as long as the server says.
    #[serde(default)]
    session_ttl: Option<Seconds>,
    /// Whether it may ask whose a token is; for confidential clients.
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

/// What is to become different; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[schema(as = ClientPatch)]
#[serde(deny_unknown_fields)]
pub(in crate::web::management::api) struct Edit {
    /// What people call it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false)]
    name: Option<String>,
    /// The grants it may use.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Grants, required = false)]
    grants: Option<Grants>,
    /// All that it may be granted; default scopes that are not among them go too, unless they are set
    /// at the same time.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<ScopeToken>, required = false)]
    scopes: Option<Vec<ScopeToken>>,
    /// What it is granted when it asks for nothing; it may be granted that from then on.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<ScopeToken>, required = false)]
    default_scopes: Option<Vec<ScopeToken>>,
    /// How long its access tokens live; null for as long as the server says.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Seconds>, required = false)]
    access_token_ttl: Option<Option<Seconds>>,
    /// How long its refresh tokens live that nobody uses; null for as long as the server says.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Seconds>, required = false)]
    refresh_idle_ttl: Option<Option<Seconds>>,
    /// How long its sessions live at most; null for as long as the server says.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Seconds>, required = false)]
    session_ttl: Option<Option<Seconds>>,
    /// Whether it may ask whose a token is; for confidential clients.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    introspection: Option<bool>,
    /// Whether it may do anything; false ends its sessions.
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
