//! Tokens imported from flask-sentinel, the server that Sentinel replaces. They are looked up only
//! while live ones may exist.
//!
//! They have no checksum, so any text of 30 letters and digits may be one, and each would cost
//! store reads. The store is asked whether imported sessions are left at most once a second, and
//! only when such a text arrives. The answer changes over time: the command line may import tokens
//! while the server runs, and the last imported session ends one day.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::{Error, Provider};
use crate::domain::{Token, TokenKind};
use crate::store::imports;

/// Time in milliseconds for which the store's answer, whether imported sessions are left, is
/// reused.
const ANSWER_TTL: i64 = 1000;

/// The store's latest answer to whether sessions imported from flask-sentinel (the server that
/// Sentinel replaces) are left.
#[derive(Debug)]
pub(super) struct LegacyTokens {
    may_exist: AtomicBool,
    /// Time of the store's latest answer whether imported sessions are left, in milliseconds since
    /// the Unix epoch.
    answered_at: AtomicI64,
}

impl Default for LegacyTokens {
    fn default() -> Self {
        Self { may_exist: AtomicBool::new(false), answered_at: AtomicI64::new(i64::MIN) }
    }
}

impl Provider {
    /// Parses a token of flask-sentinel, the server that Sentinel replaces. Returns `None` if the
    /// text cannot be such a token, or if no imported sessions are left. The token is not verified.
    pub(super) async fn legacy_token(
        &self,
        text: &str,
        kind: TokenKind,
    ) -> Result<Option<Token>, Error> {
        let token = Token::parse_legacy(text, kind);
        Ok(if token.is_some() && self.legacy_tokens_may_exist().await? { token } else { None })
    }

    async fn legacy_tokens_may_exist(&self) -> Result<bool, Error> {
        let cached = &self.legacy_tokens;
        let now = self.now().as_millis();
        let age = now.saturating_sub(cached.answered_at.load(Ordering::Acquire));
        if (0..ANSWER_TTL).contains(&age) {
            return Ok(cached.may_exist.load(Ordering::Relaxed));
        }
        let may_exist = imports::may_have_sessions(&self.stores).await?;
        cached.may_exist.store(may_exist, Ordering::Relaxed);
        cached.answered_at.store(now, Ordering::Release);
        Ok(may_exist)
    }
}
