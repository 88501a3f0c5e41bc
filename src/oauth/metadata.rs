//! Authorization server metadata (RFC 8414 §2).

use serde::Serialize;

use super::Provider;

/// Absolute URLs of the endpoints; `None` for an endpoint that is switched off.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// URL of the token endpoint (RFC 6749 §3.2), if it is enabled.
    pub token: Option<String>,
    /// URL of the introspection endpoint (RFC 7662 §2), if it is enabled.
    pub introspection: Option<String>,
    /// URL of the revocation endpoint (RFC 7009 §2), if it is enabled.
    pub revocation: Option<String>,
}

/// The authorization server metadata document (RFC 8414 §2), serialized as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Metadata {
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint_auth_methods_supported: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint_auth_methods_supported: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint_auth_methods_supported: Option<Vec<&'static str>>,
    grant_types_supported: Vec<&'static str>,
    /// Response types, "REQUIRED" by RFC 8414 §2; none, because there is no authorization endpoint.
    response_types_supported: Vec<&'static str>,
}

const ANY_CLIENT: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];
const CONFIDENTIAL: [&str; 2] = ["client_secret_basic", "client_secret_post"];

impl Provider {
    /// Returns the authorization server metadata; `None` if no public URL is configured.
    pub fn metadata(&self, endpoints: Endpoints) -> Option<Metadata> {
        let methods =
            |url: &Option<String>, methods: &[&'static str]| url.as_ref().map(|_| methods.to_vec());
        Some(Metadata {
            issuer: self.policy.issuer.clone()?,
            token_endpoint_auth_methods_supported: methods(&endpoints.token, &ANY_CLIENT),
            token_endpoint: endpoints.token,
            introspection_endpoint_auth_methods_supported: methods(
                &endpoints.introspection,
                &CONFIDENTIAL,
            ),
            introspection_endpoint: endpoints.introspection,
            revocation_endpoint_auth_methods_supported: methods(&endpoints.revocation, &ANY_CLIENT),
            revocation_endpoint: endpoints.revocation,
            grant_types_supported: self.policy.grants.iter().map(|grant| grant.as_str()).collect(),
            response_types_supported: Vec::new(),
        })
    }

    /// Returns the issuer (the server's public URL, if configured), for `iss` in introspection.
    pub fn issuer(&self) -> Option<&str> {
        self.policy.issuer.as_deref()
    }
}
