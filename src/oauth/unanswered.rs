//! Refreshes that failed because the store or Redis was unavailable. Their tokens stay usable for a
//! retry, however long the outage lasts.
//!
//! A failed refresh may have been written, by this request or an earlier one whose response was
//! lost, or may still be written. A retry gets the same tokens, but only within the grace period.
//! An outage can last longer; the retry would then count as reuse and end the session. This module
//! therefore records the tokens of failed refreshes in memory and, as soon as the store is
//! available again, updates their sessions so that the tokens can be retried.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{Provider, audit};
use crate::domain::{Session, SessionId, Timestamp, Token, UnansweredRefresh};
use crate::observe::audit::Outcome;
use crate::store::{Result, SessionStore, StoreError};

/// Pause between two attempts while the store is unavailable.
const RETRY: Duration = Duration::from_millis(200);
/// Number of sessions that are updated concurrently.
const AT_ONCE: usize = 64;
/// Maximum number of entries in each map; further tokens are not recorded. Reaching it takes an
/// outage with that many failed refreshes.
const REMEMBERED: usize = 20_000;
/// Maximum number of uses recorded for one token; the latest are kept. More than these are not
/// expected to run concurrently.
const USES: usize = 16;

/// A refresh token that a client presented, and the time at which it did.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    pub(super) token: &'a Token,
    pub(super) at: Timestamp,
}

/// Key of an entry: the session's id and the digest of the token's verifier.
type Key = (SessionId, [u8; 32]);

/// An entry: a refresh token that got no response.
#[derive(Clone, PartialEq)]
struct Kept {
    refresh: UnansweredRefresh,
    /// Whether a write may still be in progress that would use the token up.
    in_flight: bool,
}

#[derive(Default)]
pub(super) struct Unanswered {
    waiting: Mutex<Waiting>,
}

/// The entries, in two maps. During an outage a token cannot be verified, so any sender can add
/// entries for invented tokens; a separate map keeps these from displacing verified ones.
#[derive(Default)]
struct Waiting {
    /// Tokens that were found valid and presented by their own client.
    good: HashMap<Key, Kept>,
    /// Tokens that could not be looked up.
    unseen: HashMap<Key, Kept>,
    /// Whether the background task is running.
    at_work: bool,
}

impl Provider {
    /// Records the token of a failed refresh. The token counts as one that could not be looked up
    /// unless an earlier call has recorded a use of it.
    pub(super) fn keep_retry(&self, presented: Presented<'_>) {
        self.remember(key(presented.token), self.given_up(presented, None));
    }

    /// Records the token of a failed refresh, with the last use of the token in `session`: the
    /// tokens of that use are the ones that a retry gets.
    pub(super) fn keep_retry_of(&self, presented: Presented<'_>, session: &Session) {
        self.remember(key(presented.token), self.given_up(presented, Some(session)));
    }

    /// Records the token of a refresh whose write of `written` failed but may have taken place or
    /// may still take place.
    pub(super) fn keep_retry_of_write(&self, presented: Presented<'_>, written: &Session) {
        let kept = self.given_up(presented, Some(written));
        self.remember(key(presented.token), Kept { in_flight: true, ..kept });
    }

    /// Updates the session at once, for a refresh whose write is confirmed. If the update fails,
    /// records the token for the background task.
    pub(super) async fn keep_retry_now(&self, presented: Presented<'_>, session: &Session) {
        let kept = self.given_up(presented, Some(session));
        if self.tell(session.id, &kept).await.is_err() {
            self.remember(key(presented.token), kept);
        }
    }

    /// Returns whether the token is recorded as one that got no response.
    pub(super) fn is_unanswered(&self, token: &Token) -> bool {
        self.unanswered.waiting().get(&key(token)).is_some()
    }

    /// Returns whether the outcome of the write that uses the token is unknown.
    pub(super) fn is_unconfirmed(&self, token: &Token) -> bool {
        self.unanswered.waiting().get(&key(token)).is_some_and(|kept| kept.in_flight)
    }

    /// Updates the session of a recorded token now, and then removes the entry.
    pub(super) async fn tell_of_retry(&self, token: &Token) -> Result<()> {
        let key = key(token);
        let kept = self.unanswered.waiting().get(&key).cloned();
        if let Some(kept) = kept {
            self.tell(token.session_id(), &kept).await?;
            self.unanswered.waiting().told(&key, &kept);
        }
        Ok(())
    }

    /// Removes the entry, since the token got its response.
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

    /// Updates the sessions of all entries. Returns whether every update succeeded.
    async fn keep_retries(&self) -> bool {
        // One health check instead of many requests that would fail while the store is unavailable.
        if self.stores.health.check().await.is_err() {
            return false;
        }
        let waiting = self.unanswered.waiting().all();
        let told = stream::iter(waiting).map(async |(key, kept)| {
            match self.tell(key.0, &kept).await {
                // A retry cannot repair a damaged record.
                Ok(()) | Err(StoreError::Corrupt { .. }) => {}
                Err(_) => return false,
            }
            self.unanswered.waiting().told(&key, &kept);
            true
        });
        told.buffer_unordered(AT_ONCE).fold(true, async |all, told| all && told).await
    }

    /// Updates the session so that the token can be retried. Does nothing if the session has ended,
    /// or if the token is neither its current nor its last used one by now.
    async fn tell(&self, id: SessionId, kept: &Kept) -> Result<()> {
        let sessions: &dyn SessionStore = &*self.stores.sessions;
        while let Some(session) = sessions.find(id).await? {
            if !kept.in_flight && session.is_current_refresh(&kept.refresh.digest) {
                break;
            }
            let next = session.keeping_retry(&kept.refresh, self.policy.lifetimes.refresh_grace);
            // `None`: an earlier attempt has succeeded although it reported an error, or the
            // session has moved on.
            let told = match next {
                Some(next) => sessions.replace(&next, false).await?.into_result()?,
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
    /// Writes the audit event for an unconfirmed refresh if the session shows its outcome.
    fn settle(&self, session: &Session) {
        let digest = &self.refresh.digest;
        let was_used = session.used_refresh().is_some_and(|used| used.digest == *digest);
        let outcome = match (self.in_flight, was_used) {
            (true, true) => Outcome::Ok,
            // The session has a newer version by now, so compare-and-swap rejects the write from
            // here on.
            (true, false) if session.is_current_refresh(digest) => Outcome::Failed,
            _ => return,
        };
        audit::refresh_settled(session, outcome);
    }

    /// Merges a later failure of the same token into the entry.
    fn and(mut self, later: Self) -> Self {
        // The first `presented_at` stays: it decides whether the token came within the grace
        // period.
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

    /// Returns whether entries are left, and marks the background task as stopped if not.
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

    /// Returns all entries, those of verified tokens first.
    fn all(&self) -> Vec<(Key, Kept)> {
        let all = self.good.iter().chain(&self.unseen);
        all.map(|(key, kept)| (*key, kept.clone())).collect()
    }

    /// Removes an entry after its session was updated, unless the entry has changed in the
    /// meantime.
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
