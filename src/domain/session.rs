//! Sessions: what one login started, and the rules by which its tokens live and die.
//!
//! A session is one record, and every change to it is one write: these functions take a session and
//! a moment and answer with the session that should replace it. The store replaces it only if nobody
//! else has meanwhile ([`Session::version`]), and whoever loses that race reads again and decides
//! again. So fifty parallel refreshes of one token rotate once, and forty-nine find it rotated.

use std::time::Duration;

use super::{
    ClientId, Digest, Lifetimes, Scope, Selector, SessionId, Timestamp, Token, TokenKind, UserId,
    Verifier,
};

/// How many live access tokens a session may have; the oldest gives way to the next.
pub const MAX_ACCESS_TOKENS: usize = 16;

/// The user of a session, as it was when the session started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUser {
    /// Who.
    pub id: UserId,
    /// By which name; kept here so that introspection needs no second look-up.
    pub username: String,
    /// `User::generation` at the login.
    pub generation: u64,
}

/// A live access token.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessToken {
    /// SHA-256 of the verifier.
    pub digest: Digest,
    /// The scope of this token where it was narrowed; else it is the session's.
    pub scope: Option<Scope>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The refresh tokens of a session: one that is current, and perhaps the one used to get it.
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshChain {
    /// What all refresh tokens of the session are sealed with; see [`Verifier::sealed`].
    pub key: [u8; 16],
    /// SHA-256 of the current token's verifier.
    pub current: Digest,
    /// When the current token was issued.
    pub issued_at: Timestamp,
    /// When it ends unless it is used.
    pub idle_ends_at: Timestamp,
    /// The token used last, until its successor is used.
    pub used: Option<UsedRefresh>,
}

/// A refresh token that was used, and what it takes to answer it the same way once more.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedRefresh {
    /// SHA-256 of its verifier.
    pub digest: Digest,
    /// What its successor was derived with; see [`Verifier::successor`].
    pub salt: [u8; 32],
    /// When it was used; or, while it is known that its answer did not arrive, when the token would
    /// have ended unused.
    pub at: Timestamp,
}

/// What one login started.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Derived from the selector in its tokens.
    pub id: SessionId,
    /// Counts the writes; a store replaces version *n* by *n + 1* and nothing else.
    pub version: u64,
    /// Whose it is; `None` for a client that acts for itself (RFC 6749 §4.4).
    pub user: Option<SessionUser>,
    /// Through which client.
    pub client_id: ClientId,
    /// `Client::generation` at the login.
    pub client_generation: u64,
    /// What was granted; no token of the session can do more.
    pub scope: Scope,
    /// When it started.
    pub created_at: Timestamp,
    /// When it ends, however much it is used.
    pub ends_at: Timestamp,
    /// Its access tokens, oldest first.
    pub access: Vec<AccessToken>,
    /// Its refresh tokens, if the client may refresh.
    pub refresh: Option<RefreshChain>,
}

/// What a session is started with.
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

/// Tokens on their way to the client.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuedTokens {
    /// The access token.
    pub access: Token,
    /// How long it still lasts.
    pub expires_in: Duration,
    /// What it may do.
    pub scope: Scope,
    /// The refresh token, if there is one.
    pub refresh: Option<Token>,
}

impl Session {
    /// Starts a session and issues its first tokens.
    pub fn start(new: NewSession, lifetimes: &Lifetimes, now: Timestamp) -> (Self, IssuedTokens) {
        let selector = Selector::generate();
        let ends_at = now.plus(lifetimes.session);
        let mut session = Self {
            id: SessionId::of(&selector),
            version: 0,
            user: new.user,
            client_id: new.client_id,
            client_generation: new.client_generation,
            scope: new.scope,
            created_at: now,
            ends_at,
            access: Vec::new(),
            refresh: None,
        };
        let access = token(TokenKind::Access, &selector, Verifier::generate());
        let expires_at = session.add_access(access.verifier.digest(), None, lifetimes, now);
        let refresh = new.refreshable.then(|| {
            let key: [u8; 16] = rand::random();
            let verifier = Verifier::generate().sealed(&key);
            let refresh = token(TokenKind::Refresh, &selector, verifier);
            session.set_refresh(key, refresh.verifier.digest(), None, lifetimes, now);
            refresh
        });
        let scope = session.scope.clone();
        let expires_in = expires_at.remaining(now);
        (session, IssuedTokens { access, expires_in, scope, refresh })
    }

    /// The access token with this digest, if it is alive.
    pub fn live_access(&self, digest: &Digest, now: Timestamp) -> Option<&AccessToken> {
        self.access.iter().find(|token| token.digest == *digest && now < token.expires_at)
    }

    /// The refresh chain, if this is the digest of its current token and that is alive.
    pub fn live_refresh(&self, digest: &Digest, now: Timestamp) -> Option<&RefreshChain> {
        self.refresh.as_ref().filter(|chain| chain.current == *digest && now < chain.idle_ends_at)
    }

    /// What an access token of this session may do.
    pub fn scope_of<'a>(&'a self, token: &'a AccessToken) -> &'a Scope {
        token.scope.as_ref().unwrap_or(&self.scope)
    }

    /// When the last token of the session is over, and the record can be removed.
    pub fn expires_at(&self) -> Timestamp {
        let access = self.access.iter().map(|token| token.expires_at);
        let refresh = self.refresh.iter().map(|chain| chain.idle_ends_at);
        access.chain(refresh).max().unwrap_or(self.created_at)
    }

    /// The session without this access token; `None` when it has no such token.
    pub fn without_access(&self, digest: &Digest) -> Option<Self> {
        self.keeping(|token| token.digest != *digest)
    }

    /// The session without the access tokens that are over; `None` when there are none such.
    pub fn without_expired(&self, now: Timestamp) -> Option<Self> {
        self.keeping(|token| now < token.expires_at)
    }

    /// Whether `next`, a later version, is without an access token of this one that is alive.
    pub fn loses_in(&self, next: &Self, now: Timestamp) -> bool {
        let alive = self.access.iter().filter(|token| now < token.expires_at);
        alive.into_iter().any(|token| next.live_access(&token.digest, now).is_none())
    }

    /// The session with only some of its access tokens; `None` when that is all of them.
    fn keeping(&self, keep: impl Fn(&AccessToken) -> bool) -> Option<Self> {
        if self.access.iter().all(&keep) {
            return None;
        }
        let mut next = self.next();
        next.access.retain(keep);
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
        self.access.retain(|token| now < token.expires_at);
        while self.access.len() >= MAX_ACCESS_TOKENS {
            self.access.remove(0);
        }
        let expires_at = now.plus(lifetimes.access_token).min(self.ends_at);
        self.access.push(AccessToken { digest, scope, issued_at: now, expires_at });
        expires_at
    }

    pub(super) fn set_refresh(
        &mut self,
        key: [u8; 16],
        current: Digest,
        used: Option<UsedRefresh>,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) {
        let idle_ends_at = now.plus(lifetimes.refresh_idle).min(self.ends_at);
        self.refresh = Some(RefreshChain { key, current, issued_at: now, idle_ends_at, used });
    }
}

pub(super) fn token(kind: TokenKind, selector: &Selector, verifier: Verifier) -> Token {
    Token { kind, selector: selector.clone(), verifier }
}
