//! Registered clients (RFC 6749 §2) and the lifetimes of their tokens.
//!
//! Not here: client authentication (`oauth`) and persistence (`store`).

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ClientId, Grant, Scope, StoredSecret, Timestamp, TokenKind};

/// Client type: public or confidential (RFC 6749 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// A client that cannot keep a secret, such as a mobile or browser application.
    Public,
    /// A client that authenticates with a client secret. Holds the stored form of the secret.
    Confidential(StoredSecret),
}

/// Maximum length of a client name, in bytes of UTF-8.
pub const MAX_CLIENT_NAME_BYTES: usize = 255;

/// Error returned for a client name that is too long or contains a control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a name of at most {MAX_CLIENT_NAME_BYTES} bytes without control characters")]
pub struct InvalidClientName;

/// Checks a client name that was entered in a form of the management page.
///
/// An empty name is allowed, and names need not be unique. The command line and the JSON API accept
/// any name and do not call this function.
///
/// # Errors
/// [`InvalidClientName`] if the name exceeds [`MAX_CLIENT_NAME_BYTES`] or contains a control
/// character.
pub fn check_client_name(name: &str) -> Result<(), InvalidClientName> {
    let fits = name.len() <= MAX_CLIENT_NAME_BYTES && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(InvalidClientName) }
}

/// Lifetimes of tokens and sessions, and the grace period (for retries) of used refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Lifetime of an access token, counted from its issue.
    pub access_token: Duration,
    /// Idle lifetime of a refresh token, after which an unused refresh token expires.
    pub refresh_idle: Duration,
    /// Absolute lifetime of a session, whether or not its tokens are used.
    pub session: Duration,
    /// Grace period: time after the use of a refresh token in which a retry returns the same new
    /// tokens.
    pub refresh_grace: Duration,
}

/// A registered client (RFC 6749 §2).
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Client identifier (RFC 6749 §2.2), which never changes.
    pub id: ClientId,
    /// Display name of the client, possibly empty.
    pub name: String,
    /// Client type, with the stored client secret if the client is confidential.
    pub kind: ClientKind,
    /// Grant types that the client may use.
    pub grants: BTreeSet<Grant>,
    /// Maximum scope that the client may be granted.
    pub scopes: Scope,
    /// Scope granted to the client's requests without a `scope` parameter (RFC 6749 §3.3).
    pub default_scopes: Scope,
    /// Lifetime of the client's access tokens. `None` means the server-wide setting.
    pub access_token_ttl: Option<Duration>,
    /// Idle lifetime of the client's refresh tokens. `None` means the server-wide setting.
    pub refresh_idle_ttl: Option<Duration>,
    /// Absolute lifetime of the client's sessions. `None` means the server-wide setting.
    pub session_ttl: Option<Duration>,
    /// Whether the client may introspect tokens (RFC 7662 §2.1). Only confidential clients may.
    pub introspection: bool,
    /// Whether introspection reports refresh tokens to the client too. Requires `introspection`.
    pub introspect_refresh_tokens: bool,
    /// Whether the client is enabled. A disabled client is always rejected and has no sessions.
    pub enabled: bool,
    /// Generation: a counter, incremented when the client is disabled. Sessions that recorded a
    /// lower generation of their client are invalid.
    pub generation: u64,
    /// Version: a counter, incremented by every change of the client, for optimistic concurrency.
    pub version: u64,
    /// Time at which the client was created.
    pub created_at: Timestamp,
    /// Time of the last change of the client.
    pub updated_at: Timestamp,
}

impl Client {
    /// Returns the lifetimes for this client's tokens and sessions: the client's own where set,
    /// otherwise those of `server`. The grace period (for retries of a refresh) is always that of
    /// `server`.
    pub fn lifetimes(&self, server: &Lifetimes) -> Lifetimes {
        Lifetimes {
            access_token: self.access_token_ttl.unwrap_or(server.access_token),
            refresh_idle: self.refresh_idle_ttl.unwrap_or(server.refresh_idle),
            session: self.session_ttl.unwrap_or(server.session),
            refresh_grace: server.refresh_grace,
        }
    }

    /// Returns whether the client may introspect tokens of this kind. Many resource servers read
    /// only whether a token is active, and would accept a refresh token for requests to the API, so
    /// refresh tokens require a permission of their own.
    pub const fn may_introspect(&self, kind: TokenKind) -> bool {
        match kind {
            TokenKind::Access => self.introspection,
            TokenKind::Refresh => self.introspection && self.introspect_refresh_tokens,
        }
    }

    /// Returns whether the client is confidential (RFC 6749 §2.1).
    pub const fn is_confidential(&self) -> bool {
        matches!(self.kind, ClientKind::Confidential(_))
    }
}
