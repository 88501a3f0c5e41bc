//! Introspection (RFC 7662): whose is this token? Writes nothing.

use super::{Error, Provider, Request};
use crate::domain::{
    AccessToken, ClientId, Digest, Scope, Session, SessionUser, Timestamp, Token, TokenKind,
};
use crate::store::Seen;

/// What a token is worth.
#[derive(Clone, Debug)]
pub enum Introspection {
    /// Nothing: unknown, malformed, expired, revoked, used, or of another server. RFC 7662 §2.2:
    /// "the authorization server SHOULD NOT include any additional information about an inactive
    /// token, including why the token is inactive."
    Inactive,
    /// What follows.
    Active(Box<ActiveToken>),
}

/// A token that is alive.
#[derive(Clone, Debug)]
pub struct ActiveToken {
    /// Which kind it is.
    pub kind: TokenKind,
    /// Whose it is; `None` for a client that acts for itself.
    pub user: Option<SessionUser>,
    /// Which client it was issued to.
    pub client_id: ClientId,
    /// What it may do.
    pub scope: Scope,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Provider {
    /// Answers an introspection request.
    ///
    /// # Errors
    /// As RFC 7662 §2.3 says. RFC 7662 §2.1: "To prevent token scanning attacks, the endpoint MUST
    /// also require some form of authorization to access this endpoint". It comes first.
    pub async fn introspect(&self, request: &Request<'_>) -> Result<Introspection, Error> {
        if let Some(answer) = self.introspect_for_proven(request).await? {
            return Ok(answer);
        }
        let caller = self.authenticate_confidential(request).await?;
        if !caller.introspection {
            return Err(Error::IntrospectionForbidden);
        }
        self.proven.note(request, &caller);
        let text = request.params.require("token", "token is missing")?;
        Ok(match Token::parse(text) {
            Some(token) => self.look_up(&token).await?.into(),
            None => self.look_up_legacy(text).await?.into(),
        })
    }

    /// The same for what may be a token of flask-sentinel, of either kind.
    async fn look_up_legacy(&self, text: &str) -> Result<Option<ActiveToken>, Error> {
        let Some(token) = self.imported(text, TokenKind::Refresh).await? else { return Ok(None) };
        match self.look_up(&token).await? {
            None => self.look_up_legacy_access(text).await,
            found => Ok(found),
        }
    }

    /// The same for what may be one of its access tokens.
    pub(super) async fn look_up_legacy_access(
        &self,
        text: &str,
    ) -> Result<Option<ActiveToken>, Error> {
        let Some((session, token)) = self.legacy_access(text).await? else { return Ok(None) };
        Ok(self.active(session, token.kind, &token.verifier.digest()))
    }

    /// What may be an access token of flask-sentinel, and the session that it was taken over into.
    pub(super) async fn legacy_access(
        &self,
        text: &str,
    ) -> Result<Option<(Session, Token)>, Error> {
        let Some(token) = self.imported(text, TokenKind::Access).await? else { return Ok(None) };
        let digest = token.verifier.digest();
        let Some(id) = self.stores.imports.find_alias(&digest).await? else { return Ok(None) };
        let session = self.stores.sessions.find_access(id, &digest).await?;
        Ok(session.map(|session| (session, token)))
    }

    /// The same in one read, for a caller that has called before and a token that looks like one of
    /// ours. Who has proven itself with the same credentials is not asked how many others have guessed,
    /// and the read that finds the session also sees whether it is still the same client, with the same
    /// permission. `None` for all else: it takes the long way, which refuses what is to be refused.
    async fn introspect_for_proven(
        &self,
        request: &Request<'_>,
    ) -> Result<Option<Introspection>, Error> {
        let Some(caller) = self.proven.recall(request) else { return Ok(None) };
        let token = request.params.get("token").and_then(Token::parse);
        let Some(token) = token else { return Ok(None) };
        let digest = token.verifier.digest();
        let access = (token.kind == TokenKind::Access).then_some(&digest);
        let found = self.stores.sessions.find_for(token.session_id(), access, &caller);
        match found.await? {
            Seen::OtherCaller => {
                self.proven.forget(request);
                Ok(None)
            }
            Seen::Session(session) => {
                let active = session.and_then(|session| self.active(*session, token.kind, &digest));
                Ok(Some(active.into()))
            }
        }
    }

    /// What is known of a token, if it is alive: one read by primary key.
    pub(super) async fn look_up(&self, token: &Token) -> Result<Option<ActiveToken>, Error> {
        let (sessions, id) = (&self.stores.sessions, token.session_id());
        let digest = token.verifier.digest();
        let session = match token.kind {
            TokenKind::Access => sessions.find_access(id, &digest).await?,
            TokenKind::Refresh => sessions.find(id).await?,
        };
        Ok(session.and_then(|session| self.active(session, token.kind, &digest)))
    }

    /// What the token of this kind and with this verifier is worth in its session.
    fn active(&self, session: Session, kind: TokenKind, digest: &Digest) -> Option<ActiveToken> {
        let now = self.now();
        match kind {
            TokenKind::Access => {
                let access = session.live_access(digest, now).cloned()?;
                Some(active_access(session, access))
            }
            TokenKind::Refresh => {
                let chain = session.live_refresh(digest, now)?;
                let lifetime = (chain.issued_at, chain.idle_ends_at);
                Some(active(session, TokenKind::Refresh, None, lifetime))
            }
        }
    }
}

impl From<Option<ActiveToken>> for Introspection {
    fn from(active: Option<ActiveToken>) -> Self {
        active.map_or(Self::Inactive, |active| Self::Active(Box::new(active)))
    }
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
