//! JSON bodies of requests about clients, and of the response to a registration.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::json::{ClientJson, ClientType, ScopeToken, scope};
use crate::admin::{ClientChange, NewClient};
use crate::domain::Grant;
use crate::web::management::api::fields::{Grants, Seconds, given};
use crate::web::management::api::problem::Problem;

/// A client that was registered, with the client secret of a confidential client.
#[derive(Serialize, ToSchema)]
#[schema(as = AddedClient)]
pub(in crate::web::management::api) struct AddedClientJson {
    #[serde(flatten)]
    pub(super) client: ClientJson,
    /// Client secret of a confidential client. The secret cannot be read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) client_secret: Option<String>,
}

/// A client to register. A public client has neither the grant `client_credentials` nor
/// `introspection`.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewClient)]
#[serde(deny_unknown_fields)]
pub(in crate::web::management::api) struct NewClientJson {
    #[serde(rename = "type")]
    kind: ClientType,
    /// Display name of the client.
    #[serde(default)]
    #[schema(example = "My app")]
    name: String,
    /// Grant types that the client may use; if absent, all that the client's type allows.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Grants, required = false)]
    grants: Option<Grants>,
    /// Scopes that the client may be granted, beside the default scopes.
    #[serde(default)]
    scopes: Vec<ScopeToken>,
    /// Scopes granted to the client if a request has no `scope` parameter (RFC 6749 §3.3).
    #[serde(default)]
    default_scopes: Vec<ScopeToken>,
    /// Lifetime of the client's access tokens, in seconds; null means the server's default.
    #[serde(default)]
    access_token_ttl: Option<Seconds>,
    /// Idle lifetime of the client's refresh tokens, in seconds; null means the server's default.
    #[serde(default)]
    refresh_idle_ttl: Option<Seconds>,
    /// Absolute lifetime of the client's sessions, in seconds; null means the server's default.
    #[serde(default)]
    session_ttl: Option<Seconds>,
    /// Whether the client may introspect tokens (RFC 7662 §2.1); confidential clients only.
    #[serde(default)]
    introspection: bool,
    /// Whether introspection reports refresh tokens to the client too; requires `introspection`.
    #[serde(default)]
    introspect_refresh_tokens: bool,
}

impl NewClientJson {
    /// Returns the client to register, or a [`Problem`] if a public client asks for the client
    /// credentials grant or for introspection, or a permission lacks the one that it requires.
    pub(super) fn check(self) -> Result<NewClient, Problem> {
        let invalid = |pointer: String, detail: &str| {
            Err(Problem::Invalid { pointer, detail: detail.to_owned() })
        };
        if self.kind == ClientType::Public {
            let mut grants = self.grants.iter().flat_map(Grants::iter);
            if let Some(at) = grants.position(|one| one == Grant::ClientCredentials) {
                return invalid(
                    format!("/grants/{at}"),
                    "only a confidential client may have this",
                );
            }
            if self.introspection {
                return invalid(
                    "/introspection".to_owned(),
                    "only a confidential client may have this",
                );
            }
        }
        if self.introspect_refresh_tokens && !self.introspection {
            return invalid(
                "/introspect_refresh_tokens".to_owned(),
                "this requires the permission introspection",
            );
        }
        Ok(NewClient {
            name: self.name,
            confidential: self.kind == ClientType::Confidential,
            secret: None,
            grants: self.grants.map(|grants| grants.to_set()),
            scopes: scope(&self.scopes),
            default_scopes: scope(&self.default_scopes),
            access_token_ttl: self.access_token_ttl.map(Seconds::as_duration),
            refresh_idle_ttl: self.refresh_idle_ttl.map(Seconds::as_duration),
            session_ttl: self.session_ttl.map(Seconds::as_duration),
            introspection: self.introspection,
            introspect_refresh_tokens: self.introspect_refresh_tokens,
        })
    }
}

/// Merge patch of a client (RFC 7396). Absent members of the client keep their values.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::management::api) struct ClientPatch {
    /// Display name of the client.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false)]
    name: Option<String>,
    /// Grant types that the client may use.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Grants, required = false)]
    grants: Option<Grants>,
    /// Scopes that the client may be granted. Unless `default_scopes` is set too, default scopes
    /// that `scopes` lacks are removed.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<ScopeToken>, required = false)]
    scopes: Option<Vec<ScopeToken>>,
    /// Scopes granted to the client if a request has no `scope` parameter; added to `scopes`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<ScopeToken>, required = false)]
    default_scopes: Option<Vec<ScopeToken>>,
    /// Lifetime of the client's access tokens, in seconds; null means the server's default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Seconds>, required = false)]
    access_token_ttl: Option<Option<Seconds>>,
    /// Idle lifetime of the client's refresh tokens, in seconds; null means the server's default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Seconds>, required = false)]
    refresh_idle_ttl: Option<Option<Seconds>>,
    /// Absolute lifetime of the client's sessions, in seconds; null means the server's default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Seconds>, required = false)]
    session_ttl: Option<Option<Seconds>>,
    /// Whether the client may introspect tokens (RFC 7662 §2.1); confidential clients only. False
    /// sets `introspect_refresh_tokens` to false too, unless that is in the patch.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    introspection: Option<bool>,
    /// Whether introspection reports refresh tokens to the client too; requires `introspection`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    introspect_refresh_tokens: Option<bool>,
    /// Whether the client is enabled; false ends the client's sessions.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
}

impl ClientPatch {
    pub(super) fn into_change(self) -> ClientChange {
        let ttl = |ttl: Option<Option<Seconds>>| ttl.map(|ttl| ttl.map(Seconds::as_duration));
        ClientChange {
            name: self.name,
            grants: self.grants.map(|grants| grants.to_set()),
            scopes: self.scopes.as_deref().map(scope),
            default_scopes: self.default_scopes.as_deref().map(scope),
            access_token_ttl: ttl(self.access_token_ttl),
            refresh_idle_ttl: ttl(self.refresh_idle_ttl),
            session_ttl: ttl(self.session_ttl),
            introspection: self.introspection,
            introspect_refresh_tokens: self.introspect_refresh_tokens,
            enabled: self.enabled,
            ..ClientChange::default()
        }
    }
}
