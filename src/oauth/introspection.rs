//! Token introspection (RFC 7662). It writes nothing to the store.

use super::{Error, Provider, Request};
use crate::domain::{
    AccessToken, Client, ClientId, Digest, Scope, Session, SessionUser, Timestamp, Token, TokenKind,
};
use crate::store::{CallerLookup, Want};

/// Result of an introspection (RFC 7662 §2.2).
#[derive(Clone, Debug)]
pub enum Introspection {
    /// The token is unknown, malformed, expired, revoked, used, or of another server. RFC 7662
    /// §2.2: "the authorization server SHOULD NOT include any additional information about an
    /// inactive token, including why the token is inactive."
    Inactive,
    /// The token is active; the response contains its properties.
    Active(Box<ActiveToken>),
}

/// Properties of an active token.
#[derive(Clone, Debug)]
pub struct ActiveToken {
    /// Kind of the token: access or refresh.
    pub kind: TokenKind,
    /// The resource owner; `None` for a token that a client got by client credentials.
    pub user: Option<SessionUser>,
    /// The client that the token was issued to.
    pub client_id: ClientId,
    /// The scope of the token.
    pub scope: Scope,
    /// Time at which the token was issued.
    pub issued_at: Timestamp,
    /// Time at which the token expires.
    pub expires_at: Timestamp,
}

impl Provider {
    /// Answers an introspection request. RFC 7662 §2.1: "To prevent token scanning attacks, the
    /// endpoint MUST also require some form of authorization to access this endpoint". The caller
    /// is authenticated before anything is looked up.
    ///
    /// # Errors
    /// As RFC 7662 §2.3 says: [`Error::InvalidClient`], or [`Error::RateLimited`] after too many
    /// wrong secrets; [`Error::IntrospectionForbidden`] for a client without the permission;
    /// [`Error::InvalidRequest`] for a malformed request or a missing token; [`Error::Unavailable`]
    /// when the store fails.
    pub async fn introspect(&self, request: &Request<'_>) -> Result<Introspection, Error> {
        if let Some(answer) = self.introspect_for_cached_caller(request).await? {
            return Ok(answer);
        }
        let caller = self.authenticate_confidential(request).await?;
        if !caller.introspection {
            return Err(Error::IntrospectionForbidden);
        }
        self.caller_cache.insert(request, &caller, self.now());
        let text = request.params.require("token", "token is missing")?;
        let required = required_scope(request)?;
        let active = match Token::parse(text) {
            Some(token) if caller.may_introspect(token.kind) => self.look_up(&token).await?,
            Some(_) => None,
            None => self.look_up_legacy(text, &caller).await?,
        };
        Ok(Introspection::of(active, &required))
    }

    /// Returns the properties of a token that was imported from flask-sentinel (the server that
    /// Sentinel replaces), if the token is active and `caller` may introspect tokens of its kind.
    async fn look_up_legacy(
        &self,
        text: &str,
        caller: &Client,
    ) -> Result<Option<ActiveToken>, Error> {
        let active = self.look_up_legacy_access(text).await?;
        if active.is_some() || !caller.may_introspect(TokenKind::Refresh) {
            return Ok(active);
        }
        match self.legacy_token(text, TokenKind::Refresh).await? {
            Some(token) => self.look_up(&token).await,
            None => Ok(None),
        }
    }

    /// Returns the properties of an access token imported from flask-sentinel (the server that
    /// Sentinel replaces), if the token is active.
    pub(super) async fn look_up_legacy_access(
        &self,
        text: &str,
    ) -> Result<Option<ActiveToken>, Error> {
        let Some((session, token)) = self.legacy_access(text).await? else { return Ok(None) };
        self.active(Some(session), token.kind, &token.verifier.digest()).await
    }

    /// Returns an access token imported from flask-sentinel (the server that Sentinel replaces),
    /// with the session to which it belongs. The token may have expired or been revoked since.
    pub(super) async fn legacy_access(
        &self,
        text: &str,
    ) -> Result<Option<(Session, Token)>, Error> {
        let Some(token) = self.legacy_token(text, TokenKind::Access).await? else {
            return Ok(None);
        };
        let digest = token.verifier.digest();
        let Some(id) = self.stores.imports.find_legacy_token(&digest).await? else {
            return Ok(None);
        };
        let want = Want { access: Some(&digest), caller: None };
        let session = self.stores.sessions.look_up(id, want).await?.into_session();
        Ok(session.map(|session| (session, token)))
    }

    /// Answers an introspection with one store read if the caller has authenticated before (caller
    /// cache) and the token has Sentinel's own format. The read returns the session and checks that
    /// the client's stored record still equals the cached one; no rate limit is consulted. Returns
    /// `None` otherwise: the caller must then authenticate the client, which also reports errors.
    async fn introspect_for_cached_caller(
        &self,
        request: &Request<'_>,
    ) -> Result<Option<Introspection>, Error> {
        let cached = self.caller_cache.get(request, self.now());
        let Some(caller) = cached.filter(|caller| caller.introspection) else { return Ok(None) };
        let token = request.params.get("token").and_then(Token::parse);
        let (Some(token), Ok(required)) = (token, required_scope(request)) else {
            return Ok(None);
        };
        let digest = token.verifier.digest();
        let access = (token.kind == TokenKind::Access).then_some(&digest);
        let want = Want { access, caller: Some(&caller) };
        match self.stores.sessions.look_up(token.session_id(), want).await? {
            CallerLookup::CallerChanged => Ok(None),
            CallerLookup::Session(session) => {
                let session = session.filter(|_| caller.may_introspect(token.kind));
                let session = session.map(|session| *session);
                let active = self.active(session, token.kind, &digest).await?;
                Ok(Some(Introspection::of(active, &required)))
            }
        }
    }

    /// Returns the properties of a token if the token is active: one store read by primary key.
    pub(super) async fn look_up(&self, token: &Token) -> Result<Option<ActiveToken>, Error> {
        let digest = token.verifier.digest();
        let access = (token.kind == TokenKind::Access).then_some(&digest);
        let want = Want { access, caller: None };
        let found = self.stores.sessions.look_up(token.session_id(), want).await?;
        self.active(found.into_session(), token.kind, &digest).await
    }

    /// Returns the properties of the token of this kind whose verifier (secret part) has the digest
    /// `digest`, if the token is active in `session`. A refresh token is active only while its
    /// client may use it, which takes a read of the client.
    async fn active(
        &self,
        session: Option<Session>,
        kind: TokenKind,
        digest: &Digest,
    ) -> Result<Option<ActiveToken>, Error> {
        let Some(session) = session else { return Ok(None) };
        let now = self.now();
        if kind == TokenKind::Access {
            let access = session.live_access(digest, now).cloned();
            return Ok(access.map(|access| active_access(session, access)));
        }
        let Some(chain) = session.live_refresh(digest, now) else { return Ok(None) };
        let lifetime = (chain.issued_at, chain.idle_ends_at);
        let client = self.stores.clients.find(&session.client_id).await?;
        let may_refresh = client.is_some_and(|client| self.may_refresh(&client));
        Ok(may_refresh.then(|| active(session, TokenKind::Refresh, None, lifetime)))
    }
}

impl Introspection {
    /// Returns the result for a token that is active, or for none. A token that lacks a scope in
    /// `required` is reported as inactive.
    fn of(active: Option<ActiveToken>, required: &Scope) -> Self {
        let active = active.filter(|active| required.is_subset(&active.scope));
        active.map_or(Self::Inactive, |active| Self::Active(Box::new(active)))
    }
}

/// Returns the scope that the token must have: the `scope` parameter, an extension of Ory Hydra
/// that Ory Oathkeeper sends. RFC 7662 §2.2 permits the result: whether a token is active includes
/// whether the authorization server takes it for "valid for use at the protected resource".
fn required_scope(request: &Request<'_>) -> Result<Scope, Error> {
    let scope = request.params.get("scope").unwrap_or_default();
    scope.parse().map_err(|_| Error::InvalidRequest("scope is malformed"))
}

fn active_access(session: Session, access: AccessToken) -> ActiveToken {
    let lifetime = (access.issued_at, access.expires_at);
    active(session, TokenKind::Access, access.scope, lifetime)
}

fn active(
    session: Session,
    kind: TokenKind,
    scope: Option<Scope>,
    (issued_at, expires_at): (Timestamp, Timestamp),
) -> ActiveToken {
    ActiveToken {
        kind,
        user: session.user,
        client_id: session.client_id,
        scope: scope.unwrap_or(session.scope),
        issued_at,
        expires_at,
    }
}
