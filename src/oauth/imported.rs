//! Whether tokens of flask-sentinel are alive that were taken over: only then is one looked for.
//!
//! They have no checksum, so any 30 letters and digits may be one, and would cost reads of the store. The
//! store is asked about it at most once a second, and only when something comes that may be one: the
//! command line may be taking some over at this moment, and the last of them is over one day.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::{Error, Provider};
use crate::domain::{Token, TokenKind};
use crate::store::imports;

/// For how long the store's answer is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// What is known of them.
#[derive(Debug)]
pub(super) struct Imported {
    some: AtomicBool,
    /// When the store said so, in milliseconds.
    asked_at: AtomicI64,
}

impl Default for Imported {
    fn default() -> Self {
        Self { some: AtomicBool::new(false), asked_at: AtomicI64::new(i64::MIN) }
    }
}

impl Provider {
    /// What may be a token of flask-sentinel, of this kind.
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
