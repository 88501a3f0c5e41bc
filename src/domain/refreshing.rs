//! The rules of refreshing (RFC 6749 §6, RFC 9700 §4.14.2): rotation, retry, replay.

use std::time::Duration;

use super::session::token;
use super::{
    Digest, IssuedTokens, Lifetimes, RefreshChain, Scope, Session, Timestamp, Token, TokenKind,
    UsedRefresh,
};

/// What became of a refresh token that was presented.
#[derive(Clone, Debug)]
pub enum RefreshOutcome {
    /// It was current: replace the session by this one, then answer the tokens.
    Rotated(Box<Session>, Box<IssuedTokens>),
    /// It was used before, its answer may have been lost: answer the same tokens, write nothing.
    Repeated(Box<IssuedTokens>),
    /// The same where its answer is known to have been lost, so that the time for a retry starts now:
    /// replace the session by this one, then answer the same tokens.
    Resumed(Box<Session>, Box<IssuedTokens>),
    /// It was used up: somebody has a token that is not theirs. End the session.
    Replayed,
    /// The session, or the token by idleness, is over.
    Expired,
    /// It never was a refresh token of this session: nothing is to be done.
    Unknown,
}

/// A refresh by this token that got no answer, through no fault of the client.
#[derive(Clone, Debug, PartialEq)]
pub struct UnansweredRefresh {
    /// SHA-256 of the token's verifier.
    pub digest: Digest,
    /// When the token was presented.
    pub presented_at: Timestamp,
    /// When it was given up.
    pub failed_at: Timestamp,
    /// The uses of the token that were written, or may have been, or were to be answered once more.
    pub uses: Vec<UsedRefresh>,
}

impl Session {
    /// Decides about a refresh token of this session (RFC 6749 §6, RFC 9700 §4.14.2).
    ///
    /// It was presented at `presented_at`, which is what the grace time goes by: how long it took to get
    /// to this decision is not the client's fault. `scope` is what the new access token may do; it is ignored when the token was used before,
    /// since then the answer has to be the one that was given.
    pub fn refresh(
        &self,
        presented: &Token,
        presented_at: Timestamp,
        scope: Scope,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> RefreshOutcome {
        let Some(chain) = &self.refresh else {
            return RefreshOutcome::Unknown;
        };
        let over = now >= chain.idle_ends_at;
        let digest = presented.verifier.digest();
        if chain.current == digest {
            return if over {
                RefreshOutcome::Expired
            } else {
                self.rotate(presented, chain, scope, lifetimes, now)
            };
        }
        match &chain.used {
            Some(used)
                if used.digest == digest
                    && !over
                    && presented_at < used.at.plus(lifetimes.refresh_grace) =>
            {
                let tokens = Box::new(self.repeat(presented, &chain.key, &used.salt, now));
                if used.at <= now {
                    return RefreshOutcome::Repeated(tokens);
                }
                RefreshOutcome::Resumed(Box::new(self.with_used_at(chain, used, now)), tokens)
            }
            // Nothing is kept of former tokens: the seal tells them from made-up ones.
            _ if self.has_issued_refresh(presented) => RefreshOutcome::Replayed,
            _ => RefreshOutcome::Unknown,
        }
    }

    /// The next version of the session after such a refresh: a token that was current or could be tried
    /// again when it was presented stays so for as long as it would have lived unused. `None`: it was
    /// neither.
    ///
    /// Of a session in which the token is current nothing changes but the version, so that a write that
    /// is still on its way cannot use it up any more.
    pub fn keeping_retry(&self, unanswered: &UnansweredRefresh, grace: Duration) -> Option<Self> {
        let chain = self.refresh.as_ref()?;
        if self.is_current_refresh(&unanswered.digest) {
            return Some(self.next());
        }
        let used = self.used_refresh().filter(|used| used.digest == unanswered.digest)?;
        // One that was tried again since has been answered.
        let in_time =
            used.at <= unanswered.failed_at && unanswered.presented_at < used.at.plus(grace);
        // What the call itself has written is open however short the grace time is.
        let was_open = in_time || unanswered.uses.contains(used);
        was_open.then(|| self.with_used_at(chain, used, chain.idle_ends_at))
    }

    /// Whether this is the digest of the refresh token that is to be used next.
    pub fn is_current_refresh(&self, digest: &Digest) -> bool {
        self.refresh.as_ref().is_some_and(|chain| chain.current == *digest)
    }

    /// The refresh token that was used last, until its successor is used.
    pub fn used_refresh(&self) -> Option<&UsedRefresh> {
        self.refresh.as_ref().and_then(|chain| chain.used.as_ref())
    }

    fn with_used_at(&self, chain: &RefreshChain, used: &UsedRefresh, at: Timestamp) -> Self {
        let used = Some(UsedRefresh { at, ..used.clone() });
        Self { refresh: Some(RefreshChain { used, ..chain.clone() }), ..self.next() }
    }

    /// Whether this is a refresh token of the session, current or former.
    pub fn has_issued_refresh(&self, token: &Token) -> bool {
        let chain = self.refresh.as_ref();
        chain.is_some_and(|chain| token.verifier.is_sealed_by(&chain.key))
    }

    /// The next version of the session, for a presented token that is the chain's current one.
    fn rotate(
        &self,
        presented: &Token,
        chain: &RefreshChain,
        scope: Scope,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> RefreshOutcome {
        let salt: [u8; 32] = rand::random();
        let (access, refresh) = successors(presented, &chain.key, &salt);
        let mut next = self.next();
        let narrowed = (scope != self.scope).then(|| scope.clone());
        let expires_at = next.add_access(access.verifier.digest(), narrowed, lifetimes, now);
        let used = UsedRefresh { digest: chain.current, salt, at: now };
        next.set_refresh(chain.key, refresh.verifier.digest(), Some(used), lifetimes, now);
        let expires_in = expires_at.remaining(now);
        let issued = IssuedTokens { access, expires_in, scope, refresh: Some(refresh) };
        RefreshOutcome::Rotated(Box::new(next), Box::new(issued))
    }

    fn repeat(
        &self,
        presented: &Token,
        key: &[u8; 16],
        salt: &[u8; 32],
        now: Timestamp,
    ) -> IssuedTokens {
        let (access, refresh) = successors(presented, key, salt);
        let digest = access.verifier.digest();
        let kept = self.access.iter().find(|token| token.digest == digest);
        IssuedTokens {
            access,
            // Revoked since: it is answered all the same, as one that is over.
            expires_in: kept.map_or(Duration::ZERO, |token| token.expires_at.remaining(now)),
            scope: kept.map_or(&self.scope, |token| self.scope_of(token)).clone(),
            refresh: Some(refresh),
        }
    }
}

/// The pair that follows a refresh token, given the key of the session and the salt.
fn successors(presented: &Token, key: &[u8; 16], salt: &[u8; 32]) -> (Token, Token) {
    let derive = |kind| presented.verifier.successor(salt, kind);
    let refresh = derive(TokenKind::Refresh).sealed(key);
    (
        token(TokenKind::Access, &presented.selector, derive(TokenKind::Access)),
        token(TokenKind::Refresh, &presented.selector, refresh),
    )
}
