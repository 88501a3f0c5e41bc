//! Verification of bearer tokens for proxies, such as nginx with `auth_request` (RFC 6750 §3).

use super::params::decode;
use super::{ActiveToken, Error, Provider};
use crate::domain::{Scope, Token, TokenKind};

/// Properties of a verified access token.
pub type Verified = ActiveToken;

/// Properties that a proxy requires of an access token: the query of the verify endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// The scope that the token must cover; empty if none is required.
    pub scope: Scope,
    /// Whether the token must have a user.
    pub user: bool,
}

impl Requirements {
    /// Parses the query of the verify endpoint, which the configuration of the proxy contains. The
    /// empty query requires nothing.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for anything but one `scope` with at least one valid scope token
    /// and one `user=required`. Unlike elsewhere, empty and unknown parameters are not ignored: a
    /// mistyped requirement would let every token pass.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let mut required = Self::default();
        if query.is_empty() {
            return Ok(required);
        }
        for pair in query.split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("scope", value) if required.scope.is_empty() => {
                    required.scope = parse_scope(value).ok_or(Error::InvalidRequest(
                        "scope of verify has no valid value, such as scope=read+write: correct it \
                         in the configuration of the proxy",
                    ))?;
                }
                ("user", "required") if !required.user => required.user = true,
                ("scope" | "user", _) => {
                    return Err(Error::InvalidRequest(
                        "verify takes scope once, and user=required once: correct its URL in the \
                         configuration of the proxy",
                    ));
                }
                _ => {
                    return Err(Error::InvalidRequest(
                        "verify has no parameters other than scope and user: correct its URL in \
                         the configuration of the proxy",
                    ));
                }
            }
        }
        Ok(required)
    }
}

/// Returns the form-decoded scope, or `None` if it is malformed or has no scope token.
fn parse_scope(value: &str) -> Option<Scope> {
    let scope: Scope = decode(value.as_bytes()).ok()?.parse().ok()?;
    Some(scope).filter(|scope| !scope.is_empty())
}

/// Reasons why [`Provider::verify`] does not accept an access token.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The presented text is not a live access token of this server.
    #[error("the access token is invalid, expired or revoked")]
    InvalidToken,
    /// The access token lacks a scope that the proxy requires.
    #[error("the access token lacks the required scope")]
    InsufficientScope,
    /// The proxy requires a user, and the client got the access token for itself.
    #[error("the access token has no user")]
    NoUser,
    /// The server cannot verify the token now.
    #[error(transparent)]
    Unavailable(#[from] Error),
}

impl Provider {
    /// Verifies an access token, and that it is as `required`. Returns its properties.
    ///
    /// # Errors
    /// [`VerifyError::InvalidToken`] for anything but a live access token,
    /// [`VerifyError::InsufficientScope`] when the token lacks a required scope,
    /// [`VerifyError::NoUser`] when it lacks a required user,
    /// [`VerifyError::Unavailable`] when the store fails.
    pub async fn verify(
        &self,
        text: &str,
        required: &Requirements,
    ) -> Result<Verified, VerifyError> {
        let active = match Token::parse(text) {
            Some(token) if token.kind == TokenKind::Access => self.look_up(&token).await?,
            Some(_) => None,
            None => self.look_up_legacy_access(text).await?,
        };
        let active = active.ok_or(VerifyError::InvalidToken)?;
        if !required.scope.is_subset(&active.scope) {
            return Err(VerifyError::InsufficientScope);
        }
        if required.user && active.user.is_none() {
            return Err(VerifyError::NoUser);
        }
        Ok(active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn query_requires_scope_and_user() {
        let scope = |text: &str| text.parse::<Scope>().unwrap();
        let all = Requirements { scope: scope("a b"), user: true };
        assert_eq!(Requirements::parse("").unwrap(), Requirements::default());
        for query in ["scope=a+b&user=required", "user=required&scope=b%20a"] {
            assert_eq!(Requirements::parse(query).unwrap(), all);
        }
    }

    proptest! {
        #[test]
        fn accepted_nonempty_query_requires_something(query in "((scope|user|x)=?(a|required|%2|\\+)?&?){1,3}") {
            if let Ok(required) = Requirements::parse(&query) {
                prop_assert!(required != Requirements::default());
            }
        }

        #[test]
        fn parsing_arbitrary_query_never_panics(query: String) {
            let _ = Requirements::parse(&query);
        }
    }
}
