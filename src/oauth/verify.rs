//! Whether a bearer may pass: for nginx's `auth_request` (RFC 6750 §3).

use super::{ActiveToken, Error, Provider};
use crate::domain::{Scope, Token, TokenKind};

/// A bearer that may pass.
pub type Verified = ActiveToken;

/// Why a bearer may not pass.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No access token of ours that is alive.
    #[error("the access token is invalid, expired or revoked")]
    InvalidToken,
    /// The token may do less than is asked.
    #[error("the access token has not the required scope")]
    InsufficientScope,
    /// The server cannot tell now.
    #[error(transparent)]
    Unavailable(#[from] Error),
}

impl Provider {
    /// Checks an access token, and that it may do all of `required`.
    ///
    /// # Errors
    /// [`VerifyError`].
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
