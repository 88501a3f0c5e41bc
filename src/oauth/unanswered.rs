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

use futures_util::{StreamExt, stream};

use super::{Provider, audit};
use crate::domain::{Session, SessionId, Timestamp, Token, UnansweredRefresh};
use crate::observe::audit::Outcome;
use crate::store::{Result, SessionStore, StoreError};

/// How long to wait between two tries while the store is not there.
const RETRY: Duration = Duration::from_millis(200);
/// How many sessions are told at once.
const AT_ONCE: usize = 64;
/// So many are remembered at most, of either sort. It takes an outage with as many refreshes under way.
const REMEMBERED: usize = 20_000;
/// So many uses of one token are remembered, the latest. More do not run side by side.
const USES: usize = 16;

/// A refresh token that is being used, and when it came.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    pub(super) token: &'a Token,
    pub(super) at: Timestamp,
}

/// The session that a token is of, and the token's digest.
type Key = (SessionId, [u8; 32]);

/// What is remembered of a token that got no answer.
#[derive(Clone, PartialEq)]
struct Kept {
    refresh: UnansweredRefresh,
    /// Whether a write is under way that may use it up later still.
    in_flight: bool,
}

#[derive(Default)]
pub(super) struct Unanswered {
    waiting: Mutex<Waiting>,
}

/// Anybody can send what looks like a token, while nobody can be asked if it is one. Therefore two sorts,
/// of which neither takes the other's place.
#[derive(Default)]
struct Waiting {
    /// Tokens that were found good, in the hands of the right client.
    good: HashMap<Key, Kept>,
    /// Those that could not be looked up.
    unseen: HashMap<Key, Kept>,
    /// Whether a task is at it.
    at_work: bool,
}

impl Provider {
    /// Sees to it that this token can be tried again, after a refresh that failed.
    pub(super) fn keep_retry(&self, presented: Presented<'_>) {
        self.remember(key(presented.token), self.given_up(presented, None));
    }

    /// The same, where the session has, or would have had, what is to be answered.
    pub(super) fn keep_retry_of(&self, presented: Presented<'_>, session: &Session) {
        self.remember(key(presented.token), self.given_up(presented, Some(session)));
    }

    /// The same, where the session may have been written, or may still be.
    pub(super) fn keep_retry_of_write(&self, presented: Presented<'_>, written: &Session) {
        let kept = self.given_up(presented, Some(written));
        self.remember(key(presented.token), Kept { in_flight: true, ..kept });
    }

    /// The same where the session is sure to be written, so that it is done when this returns; later, if
    /// the store is not there either.
    pub(super) async fn keep_retry_now(&self, presented: Presented<'_>, session: &Session) {
        let kept = self.given_up(presented, Some(session));
        if self.tell(session.id, &kept).await.is_err() {
            self.remember(key(presented.token), kept);
        }
    }

    /// Whether this token had no answer until now.
    pub(super) fn is_unanswered(&self, token: &Token) -> bool {
        self.unanswered.waiting().get(&key(token)).is_some()
    }

    /// Whether it is not known what became of its use.
    pub(super) fn is_unconfirmed(&self, token: &Token) -> bool {
        self.unanswered.waiting().get(&key(token)).is_some_and(|kept| kept.in_flight)
    }

    /// Does it at once, if it is not done yet.
    pub(super) async fn tell_of_retry(&self, token: &Token) -> Result<()> {
        let key = key(token);
        let kept = self.unanswered.waiting().get(&key).cloned();
        if let Some(kept) = kept {
            self.tell(token.session_id(), &kept).await?;
            self.unanswered.waiting().told(&key, &kept);
        }
        Ok(())
    }

    /// It has an answer.
    pub(super) fn answered(&self, token: &Token) {
        self.unanswered.waiting().forget(&key(token));
    }

    fn given_up(&self, presented: Presented<'_>, session: Option<&Session>) -> Kept {
        let refresh = UnansweredRefresh {
            digest: presented.token.verifier.digest(),
            presented_at: presented.at,
            failed_at: self.now(),
            uses: session.and_then(Session::used_refresh).into_iter().cloned().collect(),
        };
        Kept { refresh, in_flight: false }
    }

    fn remember(&self, key: Key, kept: Kept) {
        let mut waiting = self.unanswered.waiting();
        waiting.keep(key, kept);
        if !waiting.at_work {
            waiting.at_work = true;
            let (provider, unanswered) = (self.clone(), Arc::clone(&self.unanswered));
            tokio::spawn(async move {
                while unanswered.is_waiting() {
                    if !provider.keep_retries().await {
                        tokio::time::sleep(RETRY).await;
                    }
                }
            });
        }
    }

    /// Tells all sessions that are to be told; whether that worked with each.
    async fn keep_retries(&self) -> bool {
        // While there is no store, it is not asked so many times at once whether there is one.
        if self.stores.health.check().await.is_err() {
            return false;
        }
        let waiting = self.unanswered.waiting().all();
        let told = stream::iter(waiting).map(async |(key, kept)| {
            match self.tell(key.0, &kept).await {
                // It will not be any better the next time.
                Ok(()) | Err(StoreError::Damaged { .. }) => {}
                Err(_) => return false,
            }
            self.unanswered.waiting().told(&key, &kept);
            true
        });
        told.buffer_unordered(AT_ONCE).fold(true, async |all, told| all && told).await
    }

    /// Tells the session, unless it is over or about another token by now.
    async fn tell(&self, id: SessionId, kept: &Kept) -> Result<()> {
        let sessions: &dyn SessionStore = &*self.stores.sessions;
        while let Some(session) = sessions.find(id).await? {
            if !kept.in_flight && session.is_current_refresh(&kept.refresh.digest) {
                break;
            }
            let next = session.keeping_retry(&kept.refresh, self.policy.lifetimes.refresh_grace);
            // None: an earlier try has done it, though it did not seem so, or the session has gone on.
            let told = match next {
                Some(next) => sessions.replace(&next).await?,
                None => true,
            };
            if told {
                kept.settle(&session);
                break;
            }
        }
        Ok(())
    }
}

fn key(token: &Token) -> Key {
    (token.session_id(), *token.verifier.digest().as_bytes())
}

impl Kept {
    /// Says what became of a use that was unconfirmed, where that can be seen.
    fn settle(&self, session: &Session) {
        let digest = &self.refresh.digest;
        let was_used = session.used_refresh().is_some_and(|used| used.digest == *digest);
        let outcome = match (self.in_flight, was_used) {
            (true, true) => Outcome::Ok,
            // Another version is in its place by now, so it cannot be written any more.
            (true, false) if session.is_current_refresh(digest) => Outcome::Failed,
            _ => return,
        };
        audit::refresh_settled(session, outcome);
    }

    /// After the same token has failed again.
    fn and(mut self, later: Self) -> Self {
        // The time for the retry goes by when it was first presented.
        for used in later.refresh.uses {
            if !self.refresh.uses.contains(&used) {
                self.refresh.uses.push(used);
            }
        }
        let surplus = self.refresh.uses.len().saturating_sub(USES);
        self.refresh.uses.drain(..surplus);
        Self { in_flight: self.in_flight || later.in_flight, ..self }
    }
}

impl Unanswered {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is work; if not, the task that asks is done.
    fn is_waiting(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.at_work = !(waiting.good.is_empty() && waiting.unseen.is_empty());
        waiting.at_work
    }
}

impl Waiting {
    fn keep(&mut self, key: Key, kept: Kept) {
        let former = self.good.remove(&key).or_else(|| self.unseen.remove(&key));
        let kept = match former {
            Some(former) => former.and(kept),
            None => kept,
        };
        let is_good = !kept.refresh.uses.is_empty();
        let place = if is_good { &mut self.good } else { &mut self.unseen };
        if place.len() < REMEMBERED {
            place.insert(key, kept);
        }
    }

    fn get(&self, key: &Key) -> Option<&Kept> {
        self.good.get(key).or_else(|| self.unseen.get(key))
    }

    /// The good ones first.
    fn all(&self) -> Vec<(Key, Kept)> {
        let all = self.good.iter().chain(&self.unseen);
        all.map(|(key, kept)| (*key, kept.clone())).collect()
    }

    /// The session has been told this; it is done, unless there is more to tell by now.
    fn told(&mut self, key: &Key, kept: &Kept) {
        if self.get(key) == Some(kept) {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: &Key) {
        self.good.remove(key);
        self.unseen.remove(key);
    }
}

#[cfg(test)]
mod tests;
