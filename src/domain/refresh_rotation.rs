//! Refresh token rotation, retries within the grace period, and replay detection (RFC 6749 §6, RFC
//! 9700 §4.14.2).
//!
//! The functions take a session and return its next version, which the caller writes.

use std::time::Duration;

use super::session::token;
use super::{
    IssuedTokens, Lifetimes, RandomError, RefreshChain, Scope, Session, Timestamp, Token,
    TokenKind, UsedRefresh, random_bytes,
};

/// Result of presenting a refresh token at the token endpoint.
#[derive(Clone, Debug)]
pub enum RefreshOutcome {
    /// The refresh token was not used before. Holds the session's next version, which the caller
    /// stores, and the new tokens, which the caller then returns.
    Rotated(Box<Session>, Box<IssuedTokens>),
    /// The refresh token was used before, within the grace period for retries. Holds the tokens of
    /// the first response, which may be lost; the caller returns them again and writes nothing.
    RetriedWithinGrace(Box<IssuedTokens>),
    /// The refresh token was used before and can no longer be retried, which indicates theft. The
    /// caller ends the session.
    Replayed,
    /// The refresh token was not used before, but its idle lifetime or the session's has passed.
    Expired,
    /// The refresh token was never issued in this session. The caller changes nothing.
    Unknown,
}

impl Session {
    /// Decides on a refresh request (RFC 6749 §6, RFC 9700 §4.14.2) and returns its outcome.
    /// `presented` must have the selector (session part) of this session.
    ///
    /// `presented_at` is the arrival of the request, minus the time of outages, because delays in
    /// the server must not shorten the grace period (time in which a used refresh token may be
    /// retried). `scope`, for the new access token, is ignored for a retry, which returns the
    /// tokens of the first response.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system supplies no random bytes for new tokens.
    pub fn refresh(
        &self,
        presented: &Token,
        presented_at: Timestamp,
        scope: Scope,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<RefreshOutcome, RandomError> {
        let Some(chain) = &self.refresh else {
            return Ok(RefreshOutcome::Unknown);
        };
        let over = now >= chain.idle_ends_at;
        let digest = presented.verifier.digest();
        if chain.current == digest {
            return if over {
                Ok(RefreshOutcome::Expired)
            } else {
                self.rotate(presented, chain, scope, lifetimes, now)
            };
        }
        Ok(match &chain.used {
            Some(used)
                if used.digest == digest
                    && !over
                    && presented_at < used.at.plus(lifetimes.refresh_grace) =>
            {
                let tokens = self.derive_again(presented, &chain.mac_key, &used.salt, now);
                RefreshOutcome::RetriedWithinGrace(Box::new(tokens))
            }
            // Former tokens are not stored. The seal distinguishes them from forged ones.
            _ if self.has_issued_refresh(presented) => RefreshOutcome::Replayed,
            _ => RefreshOutcome::Unknown,
        })
    }

    /// Returns the session's last used refresh token, which is kept until its successor is used.
    pub fn used_refresh(&self) -> Option<&UsedRefresh> {
        self.refresh.as_ref().and_then(|chain| chain.used.as_ref())
    }

    /// Returns whether `token` is a refresh token of this session, current or former.
    pub fn has_issued_refresh(&self, token: &Token) -> bool {
        let chain = self.refresh.as_ref();
        chain.is_some_and(|chain| token.verifier.has_mac_of(&chain.mac_key))
    }

    /// Issues an access token and refresh token that replace the current refresh token, and returns
    /// them with the next version of the session.
    fn rotate(
        &self,
        presented: &Token,
        chain: &RefreshChain,
        scope: Scope,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<RefreshOutcome, RandomError> {
        let salt = random_bytes()?;
        let (access, refresh) = successors(presented, &chain.mac_key, &salt);
        let mut next = self.next();
        let narrowed = (scope != self.scope).then(|| scope.clone());
        let expires_at = next.add_access(access.verifier.digest(), narrowed, lifetimes, now);
        let used = UsedRefresh { digest: chain.current, salt, at: now };
        next.set_refresh(chain.mac_key, refresh.verifier.digest(), Some(used), lifetimes, now);
        let expires_in = expires_at.remaining(now);
        let issued = IssuedTokens { access, expires_in, scope, refresh: Some(refresh) };
        Ok(RefreshOutcome::Rotated(Box::new(next), Box::new(issued)))
    }

    fn derive_again(
        &self,
        presented: &Token,
        key: &[u8; 16],
        salt: &[u8; 32],
        now: Timestamp,
    ) -> IssuedTokens {
        let (access, refresh) = successors(presented, key, salt);
        let digest = access.verifier.digest();
        let kept = self.access_tokens.iter().find(|token| token.digest == digest);
        IssuedTokens {
            access,
            // If the access token was revoked or removed since, the response still contains it, as
            // expired.
            expires_in: kept.map_or(Duration::ZERO, |token| token.expires_at.remaining(now)),
            scope: kept.map_or(&self.scope, |token| self.scope_of(token)).clone(),
            refresh: Some(refresh),
        }
    }
}

/// Derives the access token and refresh token that succeed `presented`, from the session's MAC key
/// and the salt (random bytes) of this refresh.
fn successors(presented: &Token, key: &[u8; 16], salt: &[u8; 32]) -> (Token, Token) {
    let derive = |kind| presented.verifier.successor(salt, kind);
    let refresh = derive(TokenKind::Refresh).with_mac(key);
    (
        token(TokenKind::Access, &presented.selector, derive(TokenKind::Access)),
        token(TokenKind::Refresh, &presented.selector, refresh),
    )
}
