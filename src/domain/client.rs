//! Clients: the programs that ask for tokens (RFC 6749 §2).

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ClientId, Digest, Grant, Scope, Timestamp};

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// It cannot: an app, a page.
    Public,
    /// It can, and proves itself by it; this is the digest of the secret.
    Confidential(Digest),
}

/// The longest name of a client, in bytes of UTF-8.
pub const MAX_CLIENT_NAME_BYTES: usize = 255;

/// The text cannot be the name of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a name of at most {MAX_CLIENT_NAME_BYTES} bytes without control characters")]
pub struct InvalidClientName;

/// Whether a client may be called `name` in a form. It may have no name, or that of another one; a script may
/// give any.
///
/// # Errors
/// [`InvalidClientName`] for what could not be shown in a line.
pub fn check_client_name(name: &str) -> Result<(), InvalidClientName> {
    let fits = name.len() <= MAX_CLIENT_NAME_BYTES && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(InvalidClientName) }
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token.
    pub access_token: Duration,
    /// A refresh token that is not used.
    pub refresh_idle: Duration,
    /// A session, however much it is used.
    pub session: Duration,
    /// How long a used refresh token is answered again, with the same successor.
    pub refresh_grace: Duration,
}

/// A registered client.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Names the client for good.
    pub id: ClientId,
    /// What people call it; may be empty.
    pub name: String,
    /// Public or confidential.
    pub kind: ClientKind,
    /// The grants it may use.
    pub grants: BTreeSet<Grant>,
    /// All that it may be granted.
    pub scopes: Scope,
    /// What it is granted when it does not ask.
    pub default_scopes: Scope,
    /// Its own lifetime of access tokens, instead of the server's.
    pub access_token_ttl: Option<Duration>,
    /// Its own idle lifetime of refresh tokens.
    pub refresh_idle_ttl: Option<Duration>,
    /// Its own lifetime of sessions.
    pub session_ttl: Option<Duration>,
    /// Whether it may introspect tokens (RFC 7662 §2.1); confidential clients only.
    pub introspection: bool,
    /// A disabled client is refused everywhere and has no session.
    pub enabled: bool,
    /// Grows when the client is disabled, and so ends its sessions; see `User::generation`.
    pub generation: u64,
    /// Grows with every change of the record; guards against lost updates.
    pub version: u64,
    /// When the client was made.
    pub created_at: Timestamp,
    /// When the record last changed.
    pub updated_at: Timestamp,
}

impl Client {
    /// The lifetimes that hold for this client: its own where it has some, else the server's.
    pub fn lifetimes(&self, server: &Lifetimes) -> Lifetimes {
        Lifetimes {
            access_token: self.access_token_ttl.unwrap_or(server.access_token),
            refresh_idle: self.refresh_idle_ttl.unwrap_or(server.refresh_idle),
            session: self.session_ttl.unwrap_or(server.session),
            refresh_grace: server.refresh_grace,
        }
    }

    /// Whether the client can keep a secret.
    pub const fn is_confidential(&self) -> bool {
        matches!(self.kind, ClientKind::Confidential(_))
    }
}
