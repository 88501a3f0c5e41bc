//! Verification of bearer tokens for proxies, such as nginx with `auth_request` (RFC 6750 §3).

use super::{ActiveToken, Error, Provider};
use crate::domain::{Scope, Token, TokenKind};

/// Properties of a verified access token.
pub type Verified = ActiveToken;

/// Reasons why [`Provider::verify`] does not accept an access token.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The presented text is not a live access token of this server.
    #[error("the access token is invalid, expired or revoked")]
    InvalidToken,
    /// The access token lacks a scope that the caller requires.
    #[error("the access token lacks the required scope")]
    InsufficientScope,
    /// The server cannot verify the token now.
    #[error(transparent)]
    Unavailable(#[from] Error),
}

impl Provider {
    /// Verifies an access token, and that its scope covers `required`. Returns its properties.
    ///
    /// # Errors
    /// [`VerifyError::InvalidToken`] for anything but a live access token,
    /// [`VerifyError::InsufficientScope`] when the token lacks a required scope,
    /// [`VerifyError::Unavailable`] when the store fails.
    pub async fn verify(&self, text: &str, required: &Scope) -> Result<Verified, VerifyError> {
        let active = match Token::parse(text) {
            Some(token) if token.kind == TokenKind::Access => self.look_up(&token).await?,
            Some(_) => None,
            None => self.look_up_legacy_access(text).await?,
        };
        let active = active.ok_or(VerifyError::InvalidToken)?;
        if required.is_subset(&active.scope) {
            Ok(active)
        } else {
            Err(VerifyError::InsufficientScope)
        }
    }
}
