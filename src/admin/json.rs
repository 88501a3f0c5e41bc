//! JSON representations of users, clients and sessions, which the API returns and the command line
//! prints with `--json`. None of them has a password hash or a digest of a secret. The doc comments
//! are also the descriptions in the API's OpenAPI document.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{
    Client, Grant, RateLimitKeyKind, Scope, Session, Timestamp, UnknownGrant, User,
};
use crate::store::SpentBudget;

/// A user (resource owner, RFC 6749 §1.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserJson {
    /// User id: 24 hexadecimal digits. It never changes.
    #[schema(pattern = "^[0-9a-f]{24}$", example = "6b04d06505deaee2d33dc505")]
    pub id: String,
    /// User name. It is unique.
    #[schema(example = "alice")]
    pub username: String,
    /// Scopes that the user may be granted; null means no limit beyond that of the client.
    #[schema(required)]
    pub scopes: Option<Vec<ScopeToken>>,
    /// Whether the user is enabled. A disabled user cannot log in and has no sessions.
    pub enabled: bool,
    /// Time of creation (RFC 3339).
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Time of the last change (RFC 3339).
    #[schema(format = DateTime)]
    pub updated_at: String,
}

impl UserJson {
    /// Returns the JSON representation of a user.
    pub fn of(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.clone(),
            scopes: user.scopes.as_ref().map(tokens),
            enabled: user.enabled,
            created_at: user.created_at.to_string(),
            updated_at: user.updated_at.to_string(),
        }
    }
}

/// A registered client (RFC 6749 §2).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Client)]
pub struct ClientJson {
    /// Client identifier (RFC 6749 §2.2). It never changes.
    #[schema(
        min_length = 1,
        max_length = 255,
        example = "jJUdWyvNVQOgfgkmBRGkQ7cJpNzPZYg1vUXGEqTm"
    )]
    pub client_id: String,
    /// Display name. It may be empty.
    pub name: String,
    /// Client type (RFC 6749 §2.1).
    #[serde(rename = "type")]
    pub kind: ClientType,
    /// Grant types that the client may use.
    pub grants: Vec<GrantJson>,
    /// Scopes that the client may be granted.
    pub scopes: Vec<ScopeToken>,
    /// Scopes granted if a request has no `scope` parameter (RFC 6749 §3.3).
    pub default_scopes: Vec<ScopeToken>,
    /// Lifetime of access tokens, in seconds; null means the server's.
    #[schema(required)]
    pub access_token_ttl: Option<u64>,
    /// Idle lifetime of refresh tokens, in seconds; null means the server's.
    #[schema(required)]
    pub refresh_idle_ttl: Option<u64>,
    /// Absolute lifetime of sessions, in seconds; null means the server's.
    #[schema(required)]
    pub session_ttl: Option<u64>,
    /// Whether the client may introspect tokens (RFC 7662 §2.1).
    pub introspection: bool,
    /// Whether introspection reports refresh tokens to the client too.
    pub introspect_refresh_tokens: bool,
    /// Whether the client is enabled. A disabled client is always rejected and has no sessions.
    pub enabled: bool,
    /// Time of creation (RFC 3339).
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Time of the last change (RFC 3339).
    #[schema(format = DateTime)]
    pub updated_at: String,
}

impl ClientJson {
    /// Returns the JSON representation of a client.
    pub fn of(client: &Client) -> Self {
        let seconds = |ttl: Option<Duration>| ttl.map(|ttl| ttl.as_secs());
        Self {
            client_id: client.id.to_string(),
            name: client.name.clone(),
            kind: ClientType::of(client),
            grants: client.grants.iter().copied().map(GrantJson::from).collect(),
            scopes: tokens(&client.scopes),
            default_scopes: tokens(&client.default_scopes),
            access_token_ttl: seconds(client.access_token_ttl),
            refresh_idle_ttl: seconds(client.refresh_idle_ttl),
            session_ttl: seconds(client.session_ttl),
            introspection: client.introspection,
            introspect_refresh_tokens: client.introspect_refresh_tokens,
            enabled: client.enabled,
            created_at: client.created_at.to_string(),
            updated_at: client.updated_at.to_string(),
        }
    }
}

/// A session with a live token, started by a login or a client credentials grant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionJson {
    /// Session id: 24 hexadecimal digits. No token can be derived from it.
    #[schema(pattern = "^[0-9a-f]{24}$", example = "0b1a6dd2f2a9c1f0d3e4b5a6")]
    pub id: String,
    /// User id; null, like `username`, for the client credentials grant (RFC 6749 §4.4).
    #[schema(required)]
    pub user_id: Option<String>,
    /// User name.
    #[schema(required)]
    pub username: Option<String>,
    /// Identifier of the client that the tokens were issued to.
    pub client_id: String,
    /// Granted scopes.
    pub scopes: Vec<ScopeToken>,
    /// Time at which the session started (RFC 3339).
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Time at which the session ends, regardless of its use (RFC 3339).
    #[schema(format = DateTime)]
    pub ends_at: String,
    /// Time at which the last token expires unless the session is refreshed (RFC 3339).
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// Number of live access tokens.
    #[schema(minimum = 0)]
    pub access_tokens: usize,
    /// Whether the session has a live refresh token.
    pub refreshable: bool,
}

impl SessionJson {
    /// Returns the JSON representation of a session. `now` decides which tokens are alive.
    pub fn of(session: &Session, now: Timestamp) -> Self {
        let user = session.user.as_ref();
        Self {
            id: session.id.to_string(),
            user_id: user.map(|user| user.id.to_string()),
            username: user.map(|user| user.username.clone()),
            client_id: session.client_id.to_string(),
            scopes: tokens(&session.scope),
            created_at: session.created_at.to_string(),
            ends_at: session.ends_at.to_string(),
            expires_at: session.expires_at().to_string(),
            access_tokens: session
                .access_tokens
                .iter()
                .filter(|token| now < token.expires_at)
                .count(),
            refreshable: session.refresh.as_ref().is_some_and(|chain| now < chain.idle_ends_at),
        }
    }
}

/// Result of ending sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndedSessions {
    /// Number of sessions that were ended.
    pub ended: u64,
}

/// Client credentials (RFC 6749 §2.3).
#[derive(Serialize, ToSchema)]
#[schema(as = Credentials)]
pub struct CredentialsJson {
    /// Client identifier.
    pub client_id: String,
    /// Client secret. It cannot be read again.
    pub client_secret: String,
}

/// Client type (RFC 6749 §2.1).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, ToSchema)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum ClientType {
    /// Client that cannot keep a secret, such as a mobile app or a page in the browser.
    Public,
    /// Client that can keep a secret, such as a server.
    Confidential,
}

impl ClientType {
    /// Returns the type of a client: public or confidential.
    pub fn of(client: &Client) -> Self {
        if client.is_confidential() { Self::Confidential } else { Self::Public }
    }
}

impl TryFrom<String> for ClientType {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "public" => Ok(Self::Public),
            "confidential" => Ok(Self::Confidential),
            _ => Err("expected public or confidential"),
        }
    }
}

/// One scope token (RFC 6749 §3.3).
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = r"^[\u0021\u0023-\u005b\u005d-\u007e]+$", example = "read")]
pub struct ScopeToken(String);

impl TryFrom<String> for ScopeToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let one = !text.is_empty() && !text.contains(' ') && text.parse::<Scope>().is_ok();
        one.then_some(Self(text))
            .ok_or("expected one scope: printable ASCII without space, `\"` and `\\`")
    }
}

/// Returns the scope that consists of these scope tokens.
pub fn scope(tokens: &[ScopeToken]) -> Scope {
    tokens.iter().map(|token| token.0.as_str()).collect()
}

fn tokens(scope: &Scope) -> Vec<ScopeToken> {
    scope.iter().map(|token| ScopeToken(token.to_owned())).collect()
}

/// Grant type (RFC 6749 §1.3).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String", rename_all = "snake_case")]
#[schema(as = Grant)]
pub enum GrantJson {
    /// Resource owner password credentials grant (RFC 6749 §4.3).
    Password,
    /// Refresh token grant (RFC 6749 §6).
    RefreshToken,
    /// Client credentials grant (RFC 6749 §4.4).
    ClientCredentials,
}

impl From<Grant> for GrantJson {
    fn from(grant: Grant) -> Self {
        match grant {
            Grant::Password => Self::Password,
            Grant::RefreshToken => Self::RefreshToken,
            Grant::ClientCredentials => Self::ClientCredentials,
        }
    }
}

impl From<GrantJson> for Grant {
    fn from(grant: GrantJson) -> Self {
        match grant {
            GrantJson::Password => Self::Password,
            GrantJson::RefreshToken => Self::RefreshToken,
            GrantJson::ClientCredentials => Self::ClientCredentials,
        }
    }
}

impl TryFrom<String> for GrantJson {
    type Error = UnknownGrant;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse::<Grant>().map(Self::from)
    }
}

/// Spent budget of the rate limiter as JSON: an address, network or name that is limited.
#[derive(Clone, Debug, Serialize)]
pub struct SpentBudgetJson {
    /// Kind of the subject: `address`, `network`, `name`, or `device` for known devices of a name.
    pub what: &'static str,
    /// Kind of the credential that was guessed: `password`, `client secret` or `operator`.
    pub guessed: String,
    /// Address, network, user name or client id; null for a name that no user, client or operator
    /// has.
    pub subject: Option<String>,
    /// Time at which the limit ends, if no more failures are added.
    pub until: String,
}

impl SpentBudgetJson {
    /// Converts a spent budget.
    pub fn of(budget: &SpentBudget) -> Self {
        let is_network = budget.subject.as_ref().is_some_and(|subject| subject.contains('/'));
        let what = match budget.key.kind() {
            RateLimitKeyKind::Address if is_network => "network",
            RateLimitKeyKind::Address => "address",
            RateLimitKeyKind::KnownDevice => "device",
            _ => "name",
        };
        let (guessed, subject) = (budget.guessed.clone(), budget.subject.clone());
        Self { what, guessed, subject, until: budget.until.to_string() }
    }
}
