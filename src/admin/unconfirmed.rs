//! What the store has not confirmed: it may have been done, so it is in the audit log too.

use crate::domain::{ClientId, SessionId, UserId};
use crate::store;

/// What an operator's change is of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Of<'a> {
    pub(super) user: Option<UserId>,
    pub(super) client: Option<&'a ClientId>,
    pub(super) session: Option<SessionId>,
}

impl<'a> Of<'a> {
    pub(super) fn user(id: UserId) -> Self {
        Self { user: Some(id), ..Self::default() }
    }

    pub(super) fn client(id: &'a ClientId) -> Self {
        Self { client: Some(id), ..Self::default() }
    }

    pub(super) fn session(id: SessionId) -> Self {
        Self { session: Some(id), ..Self::default() }
    }

    /// Passes on what the store says; an event, if it did not say whether the write took place.
    pub(super) fn confirm<T>(
        self,
        event: &'static str,
        written: store::Result<T>,
    ) -> store::Result<T> {
        written.inspect_err(|error| {
            if error.may_be_done() {
                tracing::warn!(
                    target: "audit", event, outcome = "unconfirmed",
                    user = self.user.map(|id| id.to_string()),
                    client = self.client.map(ToString::to_string),
                    session = self.session.map(|id| id.to_string()),
                );
            }
        })
    }
}
