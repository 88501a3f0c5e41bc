//! Tokens imported from flask-sentinel, the server that Sentinel replaces. They are looked up only
//! while live ones may exist.
//!
//! They have no checksum, so any text of 30 letters and digits may be one, and each would cost
//! store reads. The store is asked whether imported sessions are left at most once a second, and
//! only when such a text arrives. The answer changes over time: the command line may import tokens
//! while the server runs, and the last imported session ends one day.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::{Error, Provider};
use crate::domain::{Token, TokenKind};
use crate::store::imports;

/// Time for which the store's answer is reused.
const BELIEVED: Duration = Duration::from_secs(1);

/// The latest answer of the store.
#[derive(Debug)]
pub(super) struct Imported {
    some: AtomicBool,
    /// Time of the answer, in milliseconds since the Unix epoch.
    asked_at: AtomicI64,
}

impl Default for Imported {
    fn default() -> Self {
        Self { some: AtomicBool::new(false), asked_at: AtomicI64::new(i64::MIN) }
    }
}

impl Provider {
    /// Parses a flask-sentinel token of this kind. Returns `None` if the text cannot be one, or if
    /// no imported sessions are left. The token is not verified.
    pub(super) async fn imported(
        &self,
        text: &str,
        kind: TokenKind,
    ) -> Result<Option<Token>, Error> {
        let token = Token::parse_legacy(text, kind);
        Ok(if token.is_some() && self.may_have_imported().await? { token } else { None })
    }

    async fn may_have_imported(&self) -> Result<bool, Error> {
        let known = &self.imported;
        let now = self.now().as_millis();
        let age = now.saturating_sub(known.asked_at.load(Ordering::Acquire));
        if (0..i64::try_from(BELIEVED.as_millis()).unwrap_or_default()).contains(&age) {
            return Ok(known.some.load(Ordering::Relaxed));
        }
        let some = imports::may_have_sessions(&self.stores).await?;
        known.some.store(some, Ordering::Relaxed);
        known.asked_at.store(now, Ordering::Release);
        Ok(some)
    }
}
