//! Sessions: the record of one grant, and the rules by which its tokens are issued and expire.
//!
//! A session is one record, and every change of it is one write. These functions take a session and
//! a time and return the next version of the session. The store replaces the record only if its
//! version is unchanged ([`Session::version`], optimistic concurrency). A caller whose write is
//! rejected reads the session again and decides again. Of fifty parallel refreshes with one token,
//! one therefore rotates, and 49 find the rotated session.

use std::time::Duration;

use super::{
    ClientId, Digest, Lifetimes, Scope, Selector, SessionId, Timestamp, Token, TokenKind, UserId,
    Verifier,
};

/// Maximum number of live access tokens of a session. A new token replaces the oldest.
pub const MAX_ACCESS_TOKENS: usize = 16;

/// The user of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUser {
    /// User id.
    pub id: UserId,
    /// User name. It is copied here so that introspection needs no second look-up.
    pub username: String,
    /// Value of `User::generation` at the login.
    pub generation: u64,
}

/// An access token, as stored in its session.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessToken {
    /// SHA-256 of the token's verifier.
    pub digest: Digest,
    /// Scope of the token if it was narrowed. `None` means the session's scope.
    pub scope: Option<Scope>,
    /// Time of issue.
    pub issued_at: Timestamp,
    /// Expiration time.
    pub expires_at: Timestamp,
}

/// Refresh tokens of a session: the current one and, if there is one, its used predecessor.
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshChain {
    /// Key of the seal in all refresh tokens of the session; see [`Verifier::sealed`].
    pub mac_key: [u8; 16],
    /// SHA-256 of the current token's verifier.
    pub current: Digest,
    /// Time at which the current token was issued.
    pub issued_at: Timestamp,
    /// Time at which the current token expires if it is not used.
    pub idle_ends_at: Timestamp,
    /// The token used last. It is kept until its successor is used.
    pub used: Option<UsedRefresh>,
}

/// A used refresh token, with the data that a retry needs to return the same tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedRefresh {
    /// SHA-256 of the token's verifier.
    pub digest: Digest,
    /// Salt from which the successors were derived; see [`Verifier::successor`].
    pub salt: [u8; 32],
    /// Time of use, at which the grace period starts.
    pub at: Timestamp,
}

/// A session: the record of one login or client credentials grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Session id, derived from the selector in the session's tokens.
    pub id: SessionId,
    /// Version, incremented by every write. A store replaces version *n* only by version *n + 1*.
    pub version: u64,
    /// User of the session. `None` for the client credentials grant (RFC 6749 §4.4).
    pub user: Option<SessionUser>,
    /// Client that the tokens were issued to.
    pub client_id: ClientId,
    /// Value of `Client::generation` at the start of the session.
    pub client_generation: u64,
    /// Granted scope. No token of the session has more.
    pub scope: Scope,
    /// Time at which the session started.
    pub created_at: Timestamp,
    /// Time at which the session ends, regardless of its use.
    pub ends_at: Timestamp,
    /// Access tokens, oldest first.
    pub access_tokens: Vec<AccessToken>,
    /// Refresh tokens. `None` if the session cannot be refreshed.
    pub refresh: Option<RefreshChain>,
}

/// Data from which a session is started.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// See [`Session::user`].
    pub user: Option<SessionUser>,
    /// See [`Session::client_id`].
    pub client_id: ClientId,
    /// See [`Session::client_generation`].
    pub client_generation: u64,
    /// See [`Session::scope`].
    pub scope: Scope,
    /// Whether to issue a refresh token.
    pub refreshable: bool,
}

/// Tokens that are returned to the client.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuedTokens {
    /// The access token.
    pub access: Token,
    /// Remaining lifetime of the access token.
    pub expires_in: Duration,
    /// Scope of the access token.
    pub scope: Scope,
    /// The refresh token, if the session has one.
    pub refresh: Option<Token>,
}

impl Session {
    /// Starts a session and issues its first tokens.
    pub fn start(new: NewSession, lifetimes: &Lifetimes, now: Timestamp) -> (Self, IssuedTokens) {
        let selector = Selector::generate();
        let ends_at = now.plus(lifetimes.session);
        let mut session = Self {
            id: selector.session_id(),
            version: 0,
            user: new.user,
            client_id: new.client_id,
            client_generation: new.client_generation,
            scope: new.scope,
            created_at: now,
            ends_at,
            access_tokens: Vec::new(),
            refresh: None,
        };
        let access = token(TokenKind::Access, &selector, Verifier::generate());
        let expires_at = session.add_access(access.verifier.digest(), None, lifetimes, now);
        let refresh = new.refreshable.then(|| {
            let key: [u8; 16] = rand::random();
            let verifier = Verifier::generate().with_mac(&key);
            let refresh = token(TokenKind::Refresh, &selector, verifier);
            session.set_refresh(key, refresh.verifier.digest(), None, lifetimes, now);
            refresh
        });
        let scope = session.scope.clone();
        let expires_in = expires_at.remaining(now);
        (session, IssuedTokens { access, expires_in, scope, refresh })
    }

    /// Returns the access token with this digest, unless it has expired.
    pub fn live_access(&self, digest: &Digest, now: Timestamp) -> Option<&AccessToken> {
        self.access_tokens.iter().find(|token| token.digest == *digest && now < token.expires_at)
    }

    /// Returns the refresh chain if `digest` is that of its current token and the token has not
    /// expired.
    pub fn live_refresh(&self, digest: &Digest, now: Timestamp) -> Option<&RefreshChain> {
        self.refresh.as_ref().filter(|chain| chain.current == *digest && now < chain.idle_ends_at)
    }

    /// Returns the scope of an access token of this session.
    pub fn scope_of<'a>(&'a self, token: &'a AccessToken) -> &'a Scope {
        token.scope.as_ref().unwrap_or(&self.scope)
    }

    /// Returns the time at which the last token of the session expires and the record can be
    /// purged.
    pub fn expires_at(&self) -> Timestamp {
        let access = self.access_tokens.iter().map(|token| token.expires_at);
        let refresh = self.refresh.iter().map(|chain| chain.idle_ends_at);
        access.chain(refresh).max().unwrap_or(self.created_at)
    }

    /// Returns the next version of the session without this access token, or `None` if the session
    /// has no such token.
    pub fn without_access(&self, digest: &Digest) -> Option<Self> {
        self.keeping(|token| token.digest != *digest)
    }

    /// Returns the next version of the session without expired access tokens, or `None` if there
    /// are none.
    pub fn without_expired(&self, now: Timestamp) -> Option<Self> {
        self.keeping(|token| now < token.expires_at)
    }

    /// Returns whether `next`, a later version, lacks an access token of this version that is still
    /// live.
    pub fn revokes_access_of(&self, next: &Self, now: Timestamp) -> bool {
        let alive = self.access_tokens.iter().filter(|token| now < token.expires_at);
        alive.into_iter().any(|token| next.live_access(&token.digest, now).is_none())
    }

    /// Returns the next version of the session with the access tokens that satisfy `keep`, or
    /// `None` if all of them do.
    fn keeping(&self, keep: impl Fn(&AccessToken) -> bool) -> Option<Self> {
        if self.access_tokens.iter().all(&keep) {
            return None;
        }
        let mut next = self.next();
        next.access_tokens.retain(keep);
        Some(next)
    }

    pub(super) fn next(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }

    pub(super) fn add_access(
        &mut self,
        digest: Digest,
        scope: Option<Scope>,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Timestamp {
        self.access_tokens.retain(|token| now < token.expires_at);
        while self.access_tokens.len() >= MAX_ACCESS_TOKENS {
            self.access_tokens.remove(0);
        }
        let expires_at = now.plus(lifetimes.access_token).min(self.ends_at);
        self.access_tokens.push(AccessToken { digest, scope, issued_at: now, expires_at });
        expires_at
    }

    pub(super) fn set_refresh(
        &mut self,
        mac_key: [u8; 16],
        current: Digest,
        used: Option<UsedRefresh>,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) {
        let idle_ends_at = now.plus(lifetimes.refresh_idle).min(self.ends_at);
        self.refresh = Some(RefreshChain { mac_key, current, issued_at: now, idle_ends_at, used });
    }
}

pub(super) fn token(kind: TokenKind, selector: &Selector, verifier: Verifier) -> Token {
    Token { kind, selector: selector.clone(), verifier }
}
