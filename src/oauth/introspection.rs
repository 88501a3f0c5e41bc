//! Introspection (RFC 7662): whose is this token? Writes nothing.

use super::{Error, Provider, Request};
use crate::domain::{
    AccessToken, ClientId, Scope, Session, SessionUser, Timestamp, Token, TokenKind,
};

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
        let caller = self.authenticate_confidential(request).await?;
        if !caller.introspection {
            return Err(Error::IntrospectionForbidden);
        }
        let text = request.params.require("token", "token is missing")?;
        let Some(token) = Token::parse(text) else { return Ok(Introspection::Inactive) };
        let active = self.look_up(&token).await?;
        Ok(active.map_or(Introspection::Inactive, |active| Introspection::Active(Box::new(active))))
    }

    /// What is known of a token, if it is alive: one read by primary key.
    pub(super) async fn look_up(&self, token: &Token) -> Result<Option<ActiveToken>, Error> {
        let Some(session) = self.stores.sessions.find(token.session_id()).await? else {
            return Ok(None);
        };
        let (digest, now) = (token.verifier.digest(), self.now());
        Ok(match token.kind {
            TokenKind::Access => {
                let access = session.live_access(&digest, now).cloned();
                access.map(|access| active_access(session, access))
            }
            TokenKind::Refresh => {
                let lifetime = session
                    .live_refresh(&digest, now)
                    .map(|chain| (chain.issued_at, chain.idle_ends_at));
                lifetime.map(|lifetime| active(session, TokenKind::Refresh, None, lifetime))
            }
        })
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
