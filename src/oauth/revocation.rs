//! Token revocation (RFC 7009).

use super::{Error, GrantFailure, Provider, Request, Unavailable, audit};
use crate::domain::{Client, SessionId, Token, TokenKind};
use crate::observe::audit::Outcome;
use crate::store::StoreError;

/// Maximum number of attempts at a revocation when other requests change the session concurrently.
const MAX_ATTEMPTS: usize = 100;

impl Provider {
    /// Revokes a token. Revoking a refresh token ends its session, access tokens included. RFC 7009
    /// §2.1: "If the particular token is a refresh token and the authorization server supports the
    /// revocation of access tokens, then the authorization server SHOULD also invalidate all access
    /// tokens based on the same authorization grant".
    ///
    /// `token_type_hint` is ignored, because the token itself determines its kind.
    ///
    /// # Errors
    /// [`Error`] as RFC 7009 §2.2.1 says, such as [`Error::InvalidGrant`] for a token of another
    /// client. A token that is not alive is no error (§2.2): "invalid tokens do not cause an error
    /// response since the client cannot handle such an error in a reasonable way."
    pub async fn revoke(&self, request: &Request<'_>) -> Result<(), Error> {
        let client = self.authenticate(request).await?;
        let text = request.params.require("token", "token is missing")?;
        let Some((id, token)) = self.revocable(text).await? else { return Ok(()) };
        for _ in 0..MAX_ATTEMPTS {
            if self.try_revoke(&client, id, &token, request).await? {
                return Ok(());
            }
        }
        Err(Error::Unavailable(Unavailable::Contended))
    }

    /// Parses a token and returns it with the id of its session. Returns `None` for text that
    /// cannot be a token. The token is not verified against the session.
    async fn revocable(&self, text: &str) -> Result<Option<(SessionId, Token)>, Error> {
        if let Some(token) = Token::parse(text) {
            return Ok(Some((token.session_id(), token)));
        }
        if let Some((session, token)) = self.legacy_access(text).await? {
            return Ok(Some((session.id, token)));
        }
        let refresh = self.legacy_token(text, TokenKind::Refresh).await?;
        Ok(refresh.map(|token| (token.session_id(), token)))
    }

    /// Makes one attempt to revoke a token. Returns `true` if the token is not alive afterwards, or
    /// `false` if another request has changed the session meanwhile.
    async fn try_revoke(
        &self,
        client: &Client,
        id: SessionId,
        token: &Token,
        request: &Request<'_>,
    ) -> Result<bool, Error> {
        let Some(session) = self.stores.sessions.find(id).await? else {
            // Another request's end of the session may be unfinished or not durable yet, so it is
            // ended again.
            let ended = self.stores.sessions.delete(id).await?;
            if ended.value {
                audit::revoked(id, client, "session", Outcome::Ok, request.address);
            }
            ended.invalidation?;
            return Ok(true);
        };
        // RFC 7009 §2.1: the server "verifies whether the token was issued to the client making the
        // revocation request. If this verification fails, the request is refused".
        if session.client_id != client.id {
            return Err(Error::InvalidGrant(GrantFailure::OtherClient));
        }
        let note = |what, outcome| audit::revoked(id, client, what, outcome, request.address);
        let note_failure = |what, error: &StoreError| {
            if error.may_be_done() {
                note(what, Outcome::Unconfirmed);
            }
        };
        let done = match token.kind {
            // A former refresh token of the session ends it too: its holder wants the session to
            // end.
            TokenKind::Refresh if !session.has_issued_refresh(token) => true,
            TokenKind::Refresh => {
                let ending = self.stores.sessions.delete(id).await;
                let ended = ending.inspect_err(|error| note_failure("session", error))?;
                note("session", Outcome::Ok);
                ended.invalidation?;
                true
            }
            TokenKind::Access => match session.without_access(&token.verifier.digest()) {
                None => self
                    .stores
                    .sessions
                    .confirm_durable(session.id, session.version)
                    .await?
                    .into_result()?,
                Some(next) => {
                    let replacing = self.stores.sessions.replace(&next, true).await;
                    let replaced =
                        replacing.inspect_err(|error| note_failure("access token", error))?;
                    if replaced.value {
                        note("access token", Outcome::Ok);
                    }
                    replaced.into_result()?
                }
            },
        };
        Ok(done)
    }
}
