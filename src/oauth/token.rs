//! The token endpoint (RFC 6749 §3.2): client authentication and dispatch to the grants.

use super::{Error, Provider, Request, Unavailable, audit, client_credentials, password, refresh};
use crate::domain::{
    Client, Grant, IssuedTokens, NewSession, Scope, Session, SessionUser, Timestamp,
};
use crate::observe::audit::Outcome;
use crate::store::StoreError;

impl Provider {
    /// Answers a token request with new tokens.
    ///
    /// # Errors
    /// [`Error`] as RFC 6749 §5.2 says. A failed request does not use up a refresh token.
    pub async fn token(&self, request: &Request<'_>) -> Result<IssuedTokens, Error> {
        // Taken on arrival, because delays in the server must not make a retry too late.
        let presented_at = self.now();
        let result = self.grant(request, presented_at).await;
        if let Some(metrics) = &self.metrics {
            let outcome = result.as_ref().map_or_else(|error| error.code().as_str(), |_| "ok");
            metrics.tokens.answered(request.params.get("grant_type").unwrap_or_default(), outcome);
        }
        let is_refresh = request.params.get("grant_type") == Some(Grant::RefreshToken.as_str());
        // Not `Busy`, `Contended` or a corrupt record: a client can cause these.
        if let (true, Err(Error::Unavailable(Unavailable::Store(error)))) = (is_refresh, &result)
            && matches!(error, StoreError::Unavailable(_) | StoreError::Invalidation(_))
        {
            self.outages.begin(presented_at);
        }
        result
    }

    async fn grant(
        &self,
        request: &Request<'_>,
        presented_at: Timestamp,
    ) -> Result<IssuedTokens, Error> {
        let grant_type = request.params.require("grant_type", "grant_type is missing")?;
        // RFC 6749 §3.2.1: "Confidential clients […] MUST authenticate with the authorization
        // server."
        let client = self.authenticate(request).await?;
        let grant: Grant = grant_type.parse().map_err(|_| Error::UnsupportedGrantType)?;
        if !self.policy.grants.contains(&grant) {
            return Err(Error::UnsupportedGrantType);
        }
        if !client.grants.contains(&grant) {
            return Err(Error::UnauthorizedClient);
        }
        match grant {
            Grant::Password => password::grant(self, &client, request).await,
            Grant::RefreshToken => refresh::grant(self, &client, request, presented_at).await,
            Grant::ClientCredentials => client_credentials::grant(self, &client, request).await,
        }
    }

    /// Adds a session to the store, publishes its access token (to Redis, if configured), and
    /// returns its tokens. Returns `None` if the user or the client has changed during the login.
    pub(super) async fn start_session(
        &self,
        client: &Client,
        user: Option<SessionUser>,
        scope: Scope,
        request: &Request<'_>,
    ) -> Result<Option<IssuedTokens>, Error> {
        // RFC 6749 §4.4.3: "A refresh token SHOULD NOT be included" for client credentials.
        let refreshable = user.is_some() && self.may_refresh(client);
        self.can_publish(user.as_ref())?;
        let new = NewSession {
            user,
            client_id: client.id.clone(),
            client_generation: client.generation,
            scope,
            refreshable,
        };
        let lifetimes = client.lifetimes(&self.policy.lifetimes);
        let (session, tokens) = Session::start(new, &lifetimes, self.now())?;
        let note = |outcome| audit::login(&session, outcome, request.address);
        let inserted = self.stores.sessions.insert(&session).await.inspect_err(|error| {
            if error.may_be_done() {
                note(Outcome::Unconfirmed);
            }
        })?;
        if !inserted {
            return Ok(None);
        }
        if let Err(error) = self.publish(&session, &tokens).await {
            // The client gets no tokens, so the session ends.
            match self.stores.sessions.delete(session.id).await {
                Ok(_) => note(Outcome::Undone),
                Err(error) => {
                    tracing::debug!(
                        session = %session.id, %error,
                        "cannot end the session of a failed login; it expires unused",
                    );
                    note(Outcome::Unconfirmed);
                }
            }
            return Err(error);
        }
        self.outages.end(self.now());
        note(Outcome::Ok);
        self.activity.login(self.now());
        Ok(Some(tokens))
    }

    /// Checks that an access token can be published now (written to Redis, if configured), so that
    /// no session is written whose tokens could not be returned. A session without a user publishes
    /// none.
    pub(super) fn can_publish(&self, user: Option<&SessionUser>) -> Result<(), Error> {
        match self.stores.publisher.as_ref().filter(|_| user.is_some()) {
            Some(publisher) => Ok(publisher.can_publish()?),
            None => Ok(()),
        }
    }

    /// Publishes a new access token: writes it to Redis, if configured, for resource servers that
    /// read it there. Completes before the response, so that they know every returned token.
    pub(super) async fn publish(
        &self,
        session: &Session,
        tokens: &IssuedTokens,
    ) -> Result<(), Error> {
        match &self.stores.publisher {
            Some(publisher) if !tokens.expires_in.is_zero() => {
                let (text, digest) = (tokens.access.to_secret(), tokens.access.verifier.digest());
                Ok(publisher.publish(session, &text, &digest, tokens.expires_in).await?)
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the server and the client both allow the refresh grant.
    pub(super) fn may_refresh(&self, client: &Client) -> bool {
        let grant = Grant::RefreshToken;
        client.grants.contains(&grant) && self.policy.grants.contains(&grant)
    }
}
