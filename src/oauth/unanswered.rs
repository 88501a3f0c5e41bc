//! Refreshes without an answer, because the store or Redis was not there: the client may try again,
//! however long that lasts.
//!
//! A refresh that fails may have been written, by this call or an earlier one whose answer was lost, or
//! may still be. Its retry is answered the same tokens, but within the grace time only, and an outage can
//! be longer: the token would be taken for replayed, and the session ended. So it is remembered here
//! which tokens got no answer, and as soon as the store is there again, their sessions are told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Provider;
use crate::domain::{Digest, SessionId, Timestamp, Token};
use crate::store::{Result, SessionStore, StoreError};

/// How long to wait between two tries while the store is not there.
const RETRY: Duration = Duration::from_millis(200);
/// So many are remembered at most. It takes an outage with as many refreshes under way.
const REMEMBERED: usize = 20_000;

/// A refresh token that got no answer.
#[derive(Clone, Copy)]
struct Presented {
    digest: Digest,
    at: Timestamp,
    /// Whether a write is under way that may use it up later still.
    in_flight: bool,
}

/// The latest of each session.
#[derive(Default)]
pub(super) struct Unanswered {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    tokens: HashMap<SessionId, Presented>,
    /// Whether a task is at it.
    at_work: bool,
}

impl Provider {
    /// Sees to it that this token can be tried again, after a refresh that failed.
    pub(super) fn keep_retry(&self, token: &Token, in_flight: bool) {
        let presented = Presented { digest: token.verifier.digest(), at: self.now(), in_flight };
        let mut waiting = self.unanswered.waiting();
        if waiting.tokens.len() < REMEMBERED {
            let kept = waiting.tokens.entry(token.session_id()).or_insert(presented);
            if kept.digest == presented.digest {
                // The time for the retry goes by when it was first presented.
                kept.in_flight |= in_flight;
            } else {
                *kept = presented;
            }
        }
        if !waiting.at_work {
            waiting.at_work = true;
            let (provider, unanswered) = (self.clone(), Arc::clone(&self.unanswered));
            tokio::spawn(async move {
                while unanswered.is_waiting() {
                    if provider.keep_retries().await.is_err() {
                        tokio::time::sleep(RETRY).await;
                    }
                }
            });
        }
    }

    /// The same for one whose outcome is known, so that it is done when this returns; later, if the store
    /// is not there either.
    pub(super) async fn keep_retry_now(&self, token: &Token) {
        let digest = token.verifier.digest();
        let presented = Presented { digest, at: self.now(), in_flight: false };
        if self.tell(token.session_id(), presented).await.is_err() {
            self.keep_retry(token, false);
        }
    }

    /// Whether this token had no answer until now.
    pub(super) fn is_unanswered(&self, token: &Token) -> bool {
        self.unanswered.presented(token).is_some()
    }

    /// Does it at once, if it is not done yet.
    pub(super) async fn tell_of_retry(&self, token: &Token) -> Result<()> {
        if let Some(presented) = self.unanswered.presented(token) {
            self.tell(token.session_id(), presented).await?;
            self.unanswered.forget(token.session_id(), &presented.digest);
        }
        Ok(())
    }

    /// It has an answer.
    pub(super) fn answered(&self, token: &Token) {
        self.unanswered.forget(token.session_id(), &token.verifier.digest());
    }

    async fn keep_retries(&self) -> Result<()> {
        let waiting: Vec<_> =
            self.unanswered.waiting().tokens.iter().map(|(id, kept)| (*id, *kept)).collect();
        for (id, presented) in waiting {
            match self.tell(id, presented).await {
                // It will not be any better the next time.
                Ok(()) | Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
            self.unanswered.forget(id, &presented.digest);
        }
        Ok(())
    }

    /// Tells the session, unless it is over or about another token by now.
    async fn tell(&self, id: SessionId, presented: Presented) -> Result<()> {
        let sessions: &dyn SessionStore = &*self.stores.sessions;
        let (digest, grace) = (&presented.digest, self.policy.lifetimes.refresh_grace);
        while let Some(session) = sessions.find(id).await? {
            if !presented.in_flight && session.is_current_refresh(digest) {
                break;
            }
            let next = session.keeping_retry(digest, presented.at, grace);
            let Some(next) = next else { break };
            if sessions.replace(&next).await? {
                break;
            }
        }
        Ok(())
    }
}

impl Unanswered {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is work; if not, the task that asks is done.
    fn is_waiting(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.at_work = !waiting.tokens.is_empty();
        waiting.at_work
    }

    fn presented(&self, token: &Token) -> Option<Presented> {
        let kept = self.waiting().tokens.get(&token.session_id()).copied()?;
        (kept.digest == token.verifier.digest()).then_some(kept)
    }

    fn forget(&self, id: SessionId, digest: &Digest) {
        let mut waiting = self.waiting();
        if waiting.tokens.get(&id).is_some_and(|kept| kept.digest == *digest) {
            waiting.tokens.remove(&id);
        }
    }
}
