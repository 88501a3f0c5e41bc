//! Concurrency limit for attempts on one rate limit key, with a queue, in this process.
//!
//! A failure is counted when its result is known, which takes the time of a password hash. Without
//! a limit, a thousand concurrent guesses would all find an empty counter. So at most as many
//! attempts on a key run at once as failures are left in its budget.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::selection::{self, Candidate, Rule};
use crate::domain::RateLimitKey;

/// Running and waiting attempts of each rate limit key (address or user name), in this process.
#[derive(Default)]
pub(super) struct Queues(Mutex<HashMap<RateLimitKey, Queue>>);

#[derive(Default)]
struct Queue {
    running: usize,
    /// Attempts that wait for a permit (right to run), in order of arrival.
    waiting: Vec<Waiter>,
    /// Rule by which the next waiting attempt is selected.
    rule: Rule,
}

struct Waiter {
    candidate: Candidate,
    sender: oneshot::Sender<Permit>,
}

/// Result of asking for a permit (right) to run an attempt.
pub(super) enum Admission {
    /// The attempt may run now, with this permit.
    Admitted(Permit),
    /// The attempt waits, and receives the permit by this channel. The channel closes if the
    /// attempt is dropped in favour of another one.
    Queued(oneshot::Receiver<Permit>),
    /// Too many attempts are waiting, and this attempt would be the first to be dropped.
    QueueFull,
}

/// Permit: the right to run an attempt. Dropping the permit passes the right to the next waiting
/// attempt, unless the permit's attempt has failed and others of the same key still run.
pub(super) struct Permit {
    queues: Arc<Queues>,
    key: RateLimitKey,
    /// Whether the permit was given by selection among all waiting attempts after a pause.
    selected: bool,
    /// Whether the permit's attempt has failed, so that fewer may run from now on.
    failed: bool,
    /// Whether another attempt has the right now, so that dropping this permit does nothing.
    passed_on: bool,
}

impl Queues {
    /// Asks for a permit (right) to run an attempt on `key`, an address or user name. At most
    /// `max_running` attempts run at once, but always at least one, and `max_waiting` wait. When
    /// more arrive, one of the attempts is dropped.
    pub(super) fn acquire(
        self: &Arc<Self>,
        key: RateLimitKey,
        max_running: u32,
        max_waiting: usize,
        candidate: Candidate,
    ) -> Admission {
        let mut queues = self.lock();
        let queue = queues.entry(key).or_default();
        if queue.try_start(max_running) {
            return Admission::Admitted(self.permit(key));
        }
        if queue.waiting.len() >= max_waiting {
            let mut candidates = queue.candidates();
            candidates.push(candidate);
            match selection::select_dropped(&candidates) {
                Some(index) if index < queue.waiting.len() => drop(queue.waiting.remove(index)),
                _ => return Admission::QueueFull,
            }
        }
        Admission::Queued(queue.push(candidate))
    }

    /// Returns a permit (right) to run an attempt on `key`; `None` if the attempt would have to
    /// wait.
    pub(super) fn try_acquire(
        self: &Arc<Self>,
        key: RateLimitKey,
        max_running: u32,
    ) -> Option<Permit> {
        let mut queues = self.lock();
        queues.entry(key).or_default().try_start(max_running).then(|| self.permit(key))
    }

    fn permit(self: &Arc<Self>, key: RateLimitKey) -> Permit {
        let queues = Arc::clone(self);
        Permit { queues, key, selected: false, failed: false, passed_on: false }
    }

    /// Passes a permit (right to run) to the waiting attempt that `next` returns, or ends the
    /// permit if `next` returns none.
    fn pass_on(
        self: &Arc<Self>,
        key: RateLimitKey,
        selected: bool,
        next: impl Fn(&mut Queue) -> Option<Waiter>,
    ) {
        loop {
            let mut queues = self.lock();
            let Some(queue) = queues.get_mut(&key) else { return };
            let Some(waiter) = next(queue) else {
                queue.running = queue.running.saturating_sub(1);
                if queue.running == 0 {
                    queues.remove(&key);
                }
                return;
            };
            drop(queues);
            let mut permit = self.permit(key);
            permit.selected = selected;
            match waiter.sender.send(permit) {
                Ok(()) => return,
                Err(mut permit) => permit.passed_on = true,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RateLimitKey, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Starts an attempt and returns whether it may run now: at most `max_running` do, but always
    /// at least one, and none before those that wait.
    fn try_start(&mut self, max_running: u32) -> bool {
        self.remove_disconnected();
        let max_running = usize::try_from(max_running).unwrap_or(usize::MAX).max(1);
        let may_run = self.running < max_running && self.waiting.is_empty();
        self.running += usize::from(may_run);
        may_run
    }

    fn candidates(&self) -> Vec<Candidate> {
        self.waiting.iter().map(|waiter| waiter.candidate).collect()
    }

    fn push(&mut self, candidate: Candidate) -> oneshot::Receiver<Permit> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.push(Waiter { candidate, sender });
        receiver
    }

    /// Removes the waiting attempts whose clients have hung up.
    fn remove_disconnected(&mut self) {
        self.waiting.retain(|waiter| !waiter.sender.is_closed());
    }

    /// Removes and returns the waiting attempt with the lowest penalty (fewest failures and
    /// refusals); among equals, the earliest.
    fn pop_lowest_penalty(&mut self) -> Option<Waiter> {
        let waiting = self.waiting.iter().enumerate();
        let (index, _) = waiting.min_by_key(|(_, waiter)| waiter.candidate.penalty())?;
        Some(self.waiting.remove(index))
    }

    /// Removes and returns the waiting attempt that the current selection rule selects.
    fn pop_selected(&mut self) -> Option<Waiter> {
        self.remove_disconnected();
        let index = selection::select_next(&self.candidates(), self.rule)?;
        self.rule = self.rule.other();
        Some(self.waiting.remove(index))
    }
}

impl Permit {
    /// Records that the permit's attempt has failed.
    pub(super) const fn mark_failed(&mut self) {
        self.failed = true;
    }

    /// Returns whether the permit was given by selection among all waiting attempts after a pause.
    pub(super) const fn is_selected(&self) -> bool {
        self.selected
    }

    /// Adds an attempt to the queue of this permit's key, and returns the channel by which the
    /// attempt receives a permit (right to run). After a pause, the holder of this permit passes it
    /// to one of the queued attempts.
    pub(super) fn enqueue(&self, candidate: Candidate) -> oneshot::Receiver<Permit> {
        self.queues.lock().entry(self.key).or_default().push(candidate)
    }

    /// Returns whether other attempts wait for a permit with the same key.
    pub(super) fn has_waiters(&self) -> bool {
        let mut queues = self.queues.lock();
        queues.get_mut(&self.key).is_some_and(|queue| {
            queue.remove_disconnected();
            !queue.waiting.is_empty()
        })
    }

    /// Passes the permit (right to run) to a waiting attempt, selected by the current rule.
    pub(super) fn pass_to_selected(mut self) {
        self.passed_on = true;
        self.queues.pass_on(self.key, true, Queue::pop_selected);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let failed = self.failed;
        if !self.passed_on {
            // The last running attempt always passes its permit on, so that waiting attempts are
            // not stranded.
            self.queues.pass_on(self.key, false, |queue| {
                if failed && queue.running > 1 { None } else { queue.pop_lowest_penalty() }
            });
        }
    }
}
