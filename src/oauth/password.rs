//! The resource owner password credentials grant (RFC 6749 §4.3).

use secrecy::SecretString;

use super::{Error, GrantFailure, Provider, Request, audit, scope};
use crate::domain::{Client, IssuedTokens, PasswordHash, SessionUser, User, is_login_text};
use crate::password::Verdict;
use crate::rate_limit::CredentialKind;

pub(super) async fn grant(
    provider: &Provider,
    client: &Client,
    request: &Request<'_>,
) -> Result<IssuedTokens, Error> {
    let username = text(request, "username", "username is missing or malformed")?;
    let guess = text(request, "password", "password is missing or malformed")?;
    let requested = scope::requested(request.params)?;
    scope::check_client(requested.as_ref(), client)?;

    let refuse = |username: &str, failure: GrantFailure| {
        audit::login_failed(client, username, failure, request.address);
        provider.activity.failure(provider.now());
        Error::InvalidGrant(failure)
    };
    // Before any look-up or hashing: a refused attempt takes no place in the hash queue.
    let (limiter, address) = (&provider.rate_limiter, request.address);
    let attempt = limiter.admit(CredentialKind::Password, address, username).await?;
    let user = provider.stores.users.find_by_name(username).await?;
    // RFC 6749 §4.3.2: "validate the resource owner password credentials using its existing
    // password validation algorithm". It runs for unknown and disabled users too: the response time
    // must not reveal which names exist.
    let hash = user.as_ref().map(|user| user.password.clone());
    let (pool, password) = (&provider.passwords, SecretString::from(guess));
    let verdict = if user.as_ref().is_some_and(|user| user.enabled) {
        pool.verify(password, hash).await?
    } else {
        pool.verify_dummy(password, hash).await?
    };
    let (user, upgrade) = match (user, verdict) {
        (Some(user), Verdict::Right { upgrade }) if user.enabled => (user, upgrade),
        (user, verdict) => {
            // An unknown user name may be a password typed into the wrong field, so it is not
            // logged.
            let known = user.as_ref().map(|user| user.username.as_str());
            attempt.failed(known, Some(guess)).await?;
            let failure = match (known, verdict) {
                (None, _) => GrantFailure::UnknownUser,
                (Some(_), Verdict::Wrong) => GrantFailure::WrongPassword,
                (Some(_), Verdict::Right { .. }) => GrantFailure::DisabledUser,
            };
            return Err(refuse(known.unwrap_or(username), failure));
        }
    };
    attempt.succeeded();
    let scope = scope::granted(requested, client, user.scopes.as_ref())?;
    if let Some(stronger) = upgrade {
        provider.upgrade_password(&user, &stronger).await;
    }
    let session_user =
        SessionUser { id: user.id, username: user.username.clone(), generation: user.generation };
    let tokens = provider.start_session(client, Some(session_user), scope, request).await?;
    tokens.ok_or_else(|| refuse(&user.username, GrantFailure::AccountChangedDuringLogin))
}

impl Provider {
    /// Replaces the user's stored password hash by `stronger`. A failure does not fail the login;
    /// the next login tries again.
    async fn upgrade_password(&self, user: &User, stronger: &PasswordHash) {
        match self.stores.users.upgrade_password(user.id, &user.password, stronger).await {
            Ok(_) => tracing::debug!(user = %user.id, "upgraded the password hash"),
            Err(error) => tracing::warn!(
                user = %user.id, %error,
                "cannot upgrade the password hash; the next login tries again",
            ),
        }
    }
}

/// Returns a required parameter's value if it has only characters that RFC 6749 Appendix A allows.
///
/// # Errors
/// [`Error::InvalidRequest`] with the text `otherwise` for a missing parameter or other characters.
fn text<'a>(
    request: &'a Request<'_>,
    name: &str,
    otherwise: &'static str,
) -> Result<&'a str, Error> {
    let value = request.params.require(name, otherwise)?;
    if is_login_text(value) { Ok(value) } else { Err(Error::InvalidRequest(otherwise)) }
}
