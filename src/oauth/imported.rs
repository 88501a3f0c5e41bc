//! Whether tokens of flask-sentinel were taken over: only then is one looked for.
//!
//! They have no checksum, so any 30 letters and digits may be one, and would cost reads of the store. What
//! was taken over once stays so; that nothing was is believed for a second, since the command line may be
//! taking it over at this moment.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::{Error, Provider};
use crate::domain::{Token, TokenKind};
use crate::store::Page;

/// How long it is believed that there are none.
const BELIEVED: Duration = Duration::from_secs(1);

/// What is known of them.
#[derive(Debug)]
pub(super) struct Imported {
    some: AtomicBool,
    /// When there were none, in milliseconds.
    none_at: AtomicI64,
}

impl Default for Imported {
    fn default() -> Self {
        Self { some: AtomicBool::new(false), none_at: AtomicI64::new(i64::MIN) }
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
        Ok(if token.is_some() && self.has_imported().await? { token } else { None })
    }

    async fn has_imported(&self) -> Result<bool, Error> {
        if self.imported.some.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let now = self.now().as_millis();
        let age = now.saturating_sub(self.imported.none_at.load(Ordering::Relaxed));
        if (0..i64::try_from(BELIEVED.as_millis()).unwrap_or_default()).contains(&age) {
            return Ok(false);
        }
        let page = Page { after: Some("tokens/".to_owned()), limit: 1 };
        let found = self.stores.imports.list_imported(&page).await?;
        let some = found.first().is_some_and(|key| key.starts_with("tokens/"));
        if some {
            self.imported.some.store(true, Ordering::Relaxed);
        } else {
            self.imported.none_at.store(now, Ordering::Relaxed);
        }
        Ok(some)
    }
}
