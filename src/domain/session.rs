//! Sessions: the record of one grant, and the rules by which its tokens are issued and expire.
//!
//! A session is one record, and every change of it is one write. These functions take a session and
//! a time and return the next version of the session. The store replaces the record only if its
//! version is unchanged ([`Session::version`], optimistic concurrency). A caller whose write is
//! rejected reads the session again and decides again. Of fifty parallel refreshes with one token,
//! one therefore rotates, and 49 find the rotated session.

use std::time::Duration;

use super::{
    ClientId, Digest, Lifetimes, RandomError, Scope, Selector, SessionId, Timestamp, Token,
    TokenKind, UserId, Verifier, random_bytes,
};

/// Maximum number of live access tokens of one session. A further token replaces the oldest.
pub const MAX_ACCESS_TOKENS: usize = 16;

/// User to whom a session belongs, as recorded at the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUser {
    /// Id of the session's user.
    pub id: UserId,
    /// User name, copied into the session so that introspection needs no second look-up.
    pub username: String,
    /// `User::generation`, the counter that invalidates older sessions, at the time of the login.
    pub generation: u64,
}

/// Record of an access token in its session, with a digest instead of the token itself.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessToken {
    /// SHA-256 of the access token's verifier (its secret part).
    pub digest: Digest,
    /// Scope of the access token, or `None` if equal to the session's scope.
    pub scope: Option<Scope>,
    /// Time at which the access token was issued.
    pub issued_at: Timestamp,
    /// Time at which the access token expires.
    pub expires_at: Timestamp,
}

/// Records of a session's refresh tokens: the current one and, after a refresh, its predecessor.
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshChain {
    /// Key of the MAC that each refresh token of the session contains ([`Verifier::with_mac`]).
    pub mac_key: [u8; 16],
    /// SHA-256 of the verifier (secret part) of the current refresh token.
    pub current: Digest,
    /// Time at which the current refresh token was issued.
    pub issued_at: Timestamp,
    /// Time at which the current refresh token expires if it is not used.
    pub idle_ends_at: Timestamp,
    /// Refresh token used last, kept until its successor is used. `None` before the first refresh.
    pub used: Option<UsedRefresh>,
}

/// A used refresh token, with the data that a retry needs to return the same successor tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedRefresh {
    /// SHA-256 of the verifier (secret part) of the used refresh token.
    pub digest: Digest,
    /// Salt (random bytes) with which [`Verifier::successor`] derived the successor tokens.
    pub salt: [u8; 32],
    /// Time at which the refresh token was used and its grace period (time for retries) started.
    pub at: Timestamp,
}

/// A session: the record of one login or client credentials grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Session id, derived from the selector (random bits) that all tokens of the session contain.
    pub id: SessionId,
    /// Version: a counter, incremented by every write of the session. A store replaces version *n*
    /// only by version *n + 1*.
    pub version: u64,
    /// User to whom the session belongs. `None` for the client credentials grant (RFC 6749 §4.4).
    pub user: Option<SessionUser>,
    /// Identifier of the client that the tokens of the session were issued to.
    pub client_id: ClientId,
    /// `Client::generation`, the counter that invalidates older sessions, when the session started.
    pub client_generation: u64,
    /// Scope granted to the session. No token of the session has more.
    pub scope: Scope,
    /// Time at which the session started.
    pub created_at: Timestamp,
    /// Time at which the session ends, regardless of its use.
    pub ends_at: Timestamp,
    /// Access tokens of the session, oldest first.
    pub access_tokens: Vec<AccessToken>,
    /// Refresh tokens of the session. `None` if the session cannot be refreshed.
    pub refresh: Option<RefreshChain>,
}

/// Data from which [`Session::start`] starts a session.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// User who logged in. `None` for the client credentials grant (RFC 6749 §4.4).
    pub user: Option<SessionUser>,
    /// Identifier of the client that the tokens are issued to.
    pub client_id: ClientId,
    /// Present value of `Client::generation`, the counter that invalidates older sessions.
    pub client_generation: u64,
    /// Scope granted to the session. No token of the session has more.
    pub scope: Scope,
    /// Whether to issue a refresh token with the first access token.
    pub refreshable: bool,
}

/// Tokens that a token response returns to the client (RFC 6749 §5.1).
#[derive(Clone, Debug, PartialEq)]
pub struct IssuedTokens {
    /// The issued access token.
    pub access: Token,
    /// Remaining lifetime of the issued access token.
    pub expires_in: Duration,
    /// Scope of the issued access token.
    pub scope: Scope,
    /// The issued refresh token. `None` if the session cannot be refreshed.
    pub refresh: Option<Token>,
}

impl Session {
    /// Starts a session and returns it with its first tokens.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system supplies no random bytes.
    pub fn start(
        new: NewSession,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<(Self, IssuedTokens), RandomError> {
        let selector = Selector::generate()?;
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
        let access = token(TokenKind::Access, &selector, Verifier::generate()?);
        let expires_at = session.add_access(access.verifier.digest(), None, lifetimes, now);
        let mut refresh = None;
        if new.refreshable {
            let key = random_bytes()?;
            let verifier = Verifier::generate()?.with_mac(&key);
            let token = token(TokenKind::Refresh, &selector, verifier);
            session.set_refresh(key, token.verifier.digest(), None, lifetimes, now);
            refresh = Some(token);
        }
        let scope = session.scope.clone();
        let expires_in = expires_at.remaining(now);
        Ok((session, IssuedTokens { access, expires_in, scope, refresh }))
    }

    /// Returns the session's access token whose verifier (secret part) has this digest, unless the
    /// token has expired.
    pub fn live_access(&self, digest: &Digest, now: Timestamp) -> Option<&AccessToken> {
        self.access_tokens.iter().find(|token| token.digest == *digest && now < token.expires_at)
    }

    /// Returns the records of the session's refresh tokens if the verifier (secret part) of the
    /// current refresh token has this digest and that token has not expired.
    pub fn live_refresh(&self, digest: &Digest, now: Timestamp) -> Option<&RefreshChain> {
        self.refresh.as_ref().filter(|chain| chain.current == *digest && now < chain.idle_ends_at)
    }

    /// Returns the scope of `token`, an access token of this session.
    pub fn scope_of<'a>(&'a self, token: &'a AccessToken) -> &'a Scope {
        token.scope.as_ref().unwrap_or(&self.scope)
    }

    /// Returns the time at which the last token of the session expires and the session's record can
    /// be purged.
    pub fn expires_at(&self) -> Timestamp {
        let access = self.access_tokens.iter().map(|token| token.expires_at);
        let refresh = self.refresh.iter().map(|chain| chain.idle_ends_at);
        access.chain(refresh).max().unwrap_or(self.created_at)
    }

    /// Returns the next version of the session without the access token whose verifier (secret
    /// part) has this digest, or `None` if the session has no such token.
    pub fn without_access(&self, digest: &Digest) -> Option<Self> {
        self.keeping(|token| token.digest != *digest)
    }

    /// Returns the next version of the session without its expired access tokens, or `None` if no
    /// access token has expired.
    pub fn without_expired(&self, now: Timestamp) -> Option<Self> {
        self.keeping(|token| now < token.expires_at)
    }

    /// Returns whether `next`, a later version of this session, lacks an access token that is still
    /// live in this version.
    pub fn revokes_access_of(&self, next: &Self, now: Timestamp) -> bool {
        let alive = self.access_tokens.iter().filter(|token| now < token.expires_at);
        alive.into_iter().any(|token| next.live_access(&token.digest, now).is_none())
    }

    /// Returns the next version of the session with only the access tokens that satisfy `keep`, or
    /// `None` if every access token does.
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
