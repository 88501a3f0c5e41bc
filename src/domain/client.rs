//! Registered clients (RFC 6749 §2) and the lifetimes of their tokens.
//!
//! Not here: client authentication (`oauth`) and persistence (`store`).

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ClientId, Digest, Grant, Scope, Timestamp};

/// Client type (RFC 6749 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// A client that cannot keep a secret, such as a mobile or browser application.
    Public,
    /// A client that authenticates with a secret. Holds the SHA-256 digest of the secret.
    Confidential(Digest),
}

/// Maximum length of a client name, in bytes of UTF-8.
pub const MAX_CLIENT_NAME_BYTES: usize = 255;

/// Error returned for an invalid client name.
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

/// Lifetimes of tokens and sessions, and the grace period of refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Lifetime of an access token.
    pub access_token: Duration,
    /// Idle lifetime of a refresh token, after which it expires if it is not used.
    pub refresh_idle: Duration,
    /// Absolute lifetime of a session, regardless of its use.
    pub session: Duration,
    /// Grace period within which a retry with a used refresh token returns the same successor
    /// tokens.
    pub refresh_grace: Duration,
}

/// A registered client (RFC 6749 §2).
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Client identifier (RFC 6749 §2.2). It never changes.
    pub id: ClientId,
    /// Display name. It may be empty.
    pub name: String,
    /// Client type.
    pub kind: ClientKind,
    /// Grant types that the client may use.
    pub grants: BTreeSet<Grant>,
    /// Scope that the client may be granted at most.
    pub scopes: Scope,
    /// Default scope, for requests without a `scope` parameter (RFC 6749 §3.3).
    pub default_scopes: Scope,
    /// Access token lifetime of this client. `None` means the server's.
    pub access_token_ttl: Option<Duration>,
    /// Idle lifetime of this client's refresh tokens. `None` means the server's.
    pub refresh_idle_ttl: Option<Duration>,
    /// Absolute lifetime of this client's sessions. `None` means the server's.
    pub session_ttl: Option<Duration>,
    /// Whether the client may introspect tokens (RFC 7662 §2.1). Only a confidential client may.
    pub introspection: bool,
    /// Whether the client is enabled. A disabled client is always rejected and has no sessions.
    pub enabled: bool,
    /// Generation, incremented when the client is disabled. Sessions of an earlier generation are
    /// invalid; see `User::generation`.
    pub generation: u64,
    /// Version, incremented by every change of the record. It is used for optimistic concurrency.
    pub version: u64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

impl Client {
    /// Returns the lifetimes that apply to this client: its own where they are set, otherwise the
    /// server's. The grace period is always the server's.
    pub fn lifetimes(&self, server: &Lifetimes) -> Lifetimes {
        Lifetimes {
            access_token: self.access_token_ttl.unwrap_or(server.access_token),
            refresh_idle: self.refresh_idle_ttl.unwrap_or(server.refresh_idle),
            session: self.session_ttl.unwrap_or(server.session),
            refresh_grace: server.refresh_grace,
        }
    }

    /// Returns whether the client is confidential (RFC 6749 §2.1).
    pub const fn is_confidential(&self) -> bool {
        matches!(self.kind, ClientKind::Confidential(_))
    }
}
