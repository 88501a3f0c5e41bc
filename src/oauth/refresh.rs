//! The refresh grant (RFC 6749 §6), with rotation and reuse detection (RFC 9700 §4.14.2).

use super::{Error, GrantFailure, Provider, Request, Unavailable, audit, scope};
use crate::domain::{
    Client, IssuedTokens, RefreshOutcome, Scope, Session, Timestamp, Token, TokenKind,
};
use crate::observe::audit::Outcome;

/// Maximum number of attempts at a refresh while other requests change the session. Each failed
/// attempt is a successful write of another request, so well-behaved clients never reach the limit.
const ATTEMPTS: usize = 100;

pub(super) async fn grant(
    provider: &Provider,
    client: &Client,
    request: &Request<'_>,
    presented_at: Timestamp,
) -> Result<IssuedTokens, Error> {
    let text = request.params.require("refresh_token", "refresh_token is missing")?;
    let requested = scope::requested(request.params);
    let token = match parse_own(text) {
        Some(token) => Some(token),
        None => provider.legacy_token(text, TokenKind::Refresh).await?,
    };
    let token = token.ok_or(Error::InvalidGrant(GrantFailure::UnknownToken))?;
    for _ in 0..ATTEMPTS {
        let tokens =
            provider.try_refresh(client, &token, presented_at, &requested, request).await?;
        if let Some(tokens) = tokens {
            return Ok(tokens);
        }
    }
    Err(Error::Unavailable(Unavailable::Contended))
}

/// Parses a refresh token in Sentinel's own format; `None` for any other text.
fn parse_own(text: &str) -> Option<Token> {
    Token::parse(text).filter(|token| token.kind == TokenKind::Refresh)
}

impl Provider {
    /// Makes one attempt at a refresh: reads the session, checks the refresh token, and writes the
    /// session with rotated tokens. Returns the new tokens, or `None` if another request has
    /// changed the session meanwhile.
    async fn try_refresh(
        &self,
        client: &Client,
        token: &Token,
        presented_at: Timestamp,
        requested: &Result<Option<Scope>, Error>,
        request: &Request<'_>,
    ) -> Result<Option<IssuedTokens>, Error> {
        let session = self.stores.sessions.find(token.session_id()).await?;
        let session = session.ok_or(Error::InvalidGrant(GrantFailure::UnknownToken))?;
        // RFC 6749 §6: "The authorization server MUST […] ensure that the refresh token was issued
        // to the authenticated client". A token presented by another client changes nothing.
        if session.client_id != client.id {
            return Err(Error::InvalidGrant(GrantFailure::OtherClient));
        }
        let scope = self.scope_of_refresh(client, &session, requested).await?;
        let lifetimes = client.lifetimes(&self.policy.lifetimes);
        let wanted = scope.as_ref().map_or_else(|_| Scope::empty(), Clone::clone);
        // The grace period does not run during an outage.
        let outage = session.used_refresh().map(|used| self.outages.between(used.at, presented_at));
        let presented_at = presented_at.minus(outage.unwrap_or_default());
        match session.refresh(token, presented_at, wanted, &lifetimes, self.now())? {
            RefreshOutcome::Rotated(next, tokens) => {
                scope?;
                self.can_publish(session.user.as_ref())?;
                if !self.rotate(&session, &next, request).await? {
                    return Ok(None);
                }
                self.publish(&next, &tokens).await?;
                self.outages.end(self.now());
                Ok(Some(*tokens))
            }
            RefreshOutcome::RetriedWithinGrace(tokens) => {
                scope?;
                // Nothing is written here, and the write that rotated the token may not be durable
                // yet.
                let confirming = self.stores.sessions.confirm_durable(session.id, session.version);
                if !confirming.await?.into_result()? {
                    return Ok(None);
                }
                // The first response may have failed because publication did.
                self.publish(&session, &tokens).await?;
                self.outages.end(self.now());
                Ok(Some(*tokens))
            }
            RefreshOutcome::Unknown => Err(Error::InvalidGrant(GrantFailure::UnknownToken)),
            RefreshOutcome::Expired => Err(Error::InvalidGrant(GrantFailure::Expired)),
            // RFC 9700 §4.14.2: "If a refresh token is compromised and subsequently used by both
            // the attacker and the legitimate client, one of them will present an invalidated
            // refresh token, which will inform the authorization server of the breach. The
            // authorization server cannot determine which party submitted the invalid refresh
            // token, but it will revoke the active refresh token."
            RefreshOutcome::Replayed => {
                let ending = self.stores.sessions.delete(session.id).await;
                let ended = ending.inspect_err(|error| {
                    if error.may_be_done() {
                        audit::replayed(&session, Outcome::Unconfirmed, request.address);
                    }
                })?;
                audit::replayed(&session, Outcome::Ok, request.address);
                ended.into_result()?;
                Err(Error::InvalidGrant(GrantFailure::Replayed))
            }
        }
    }

    /// Writes `next`, the session with rotated tokens. Returns `false` if another request has
    /// changed the stored session meanwhile.
    async fn rotate(
        &self,
        session: &Session,
        next: &Session,
        request: &Request<'_>,
    ) -> Result<bool, Error> {
        let revokes_access = session.revokes_access_of(next, self.now());
        let written = self.stores.sessions.replace(next, revokes_access).await;
        let written = written.inspect_err(|error| {
            if error.may_be_done() {
                audit::refreshed(next, Outcome::Unconfirmed, request.address);
            }
        })?;
        if written.value {
            audit::refreshed(next, Outcome::Ok, request.address);
        }
        Ok(written.into_result()?)
    }

    /// Returns the scope of the access token that a refresh issues; `requested` is an error if the
    /// `scope` parameter is malformed. The outer error rejects the
    /// request at once; the inner error is reported only if the refresh token turns out to be
    /// usable, since detecting its reuse takes precedence.
    ///
    /// RFC 6749 §6: "The requested scope MUST NOT include any scope not originally granted by the
    /// resource owner, and if omitted is treated as equal to the scope originally granted". Scopes
    /// that the client or the user has lost since the login are not granted again.
    async fn scope_of_refresh(
        &self,
        client: &Client,
        session: &Session,
        requested: &Result<Option<Scope>, Error>,
    ) -> Result<Result<Scope, Error>, Error> {
        let changed = Error::InvalidGrant(GrantFailure::AccountChangedSinceLogin);
        if session.client_generation != client.generation {
            return Err(changed);
        }
        let user = match &session.user {
            None => None,
            Some(of_session) => match self.stores.users.find(of_session.id).await? {
                Some(user) if user.enabled && user.generation == of_session.generation => {
                    Some(user)
                }
                _ => return Err(changed),
            },
        };
        let user_scopes = user.as_ref().and_then(|user| user.scopes.as_ref());
        let left = scope::limit(&session.scope.intersection(&client.scopes), user_scopes);
        Ok(match requested {
            Ok(None) => Ok(left),
            Ok(Some(scope)) if scope.is_subset(&left) => Ok(scope.clone()),
            Ok(Some(_)) | Err(_) => Err(Error::InvalidScope),
        })
    }
}
