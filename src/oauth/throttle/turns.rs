//! Concurrency limit for attempts on one rate limit key, in this process.
//!
//! A failure is counted when its result is known, which takes the time of a password hash. Without
//! a limit, a thousand concurrent guesses would all find an empty counter. So at most as many
//! attempts on a key run at once as failures are left in its budget.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::choice::{self, Newcomer, Rule};
use crate::domain::Subject;

/// The running and the waiting attempts of each key.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Subject, Queue>>);

#[derive(Default)]
struct Queue {
    running: usize,
    /// In order of arrival.
    waiting: Vec<Waiter>,
    /// Rule of the next selection.
    rule: Rule,
}

struct Waiter {
    newcomer: Newcomer,
    wake: oneshot::Sender<Turn>,
}

/// Result of asking for a turn.
pub(super) enum Place {
    /// The attempt may run now.
    Now(Turn),
    /// Receives the turn. The channel closes if the attempt is dropped in favour of another one.
    Later(oneshot::Receiver<Turn>),
    /// Too many attempts are waiting, and this one would be the first to be dropped.
    Full,
}

/// The right to run an attempt. Dropping it passes it to the next waiting attempt, unless this
/// attempt has failed and others still run.
pub(super) struct Turn {
    turns: Arc<Turns>,
    subject: Subject,
    /// Whether it was given by selection among all waiting attempts after a pause.
    chosen: bool,
    /// Whether the attempt has failed, so that fewer may run from now on.
    spent: bool,
    taken_back: bool,
}

impl Turns {
    /// Asks for a turn. At most `slots` attempts run at once, but always at least one, and `places`
    /// wait. When more arrive, one of them is dropped.
    pub(super) fn take(
        self: &Arc<Self>,
        subject: Subject,
        slots: u32,
        places: usize,
        newcomer: Newcomer,
    ) -> Place {
        let mut queues = self.lock();
        let queue = queues.entry(subject).or_default();
        queue.forget_who_left();
        let slots = usize::try_from(slots).unwrap_or(usize::MAX).max(1);
        if queue.running < slots && queue.waiting.is_empty() {
            queue.running += 1;
            return Place::Now(self.turn(subject));
        }
        if queue.waiting.len() >= places {
            let mut all = queue.newcomers();
            all.push(newcomer);
            match choice::last(&all) {
                Some(at) if at < queue.waiting.len() => drop(queue.waiting.remove(at)),
                _ => return Place::Full,
            }
        }
        Place::Later(queue.add(newcomer))
    }

    fn turn(self: &Arc<Self>, subject: Subject) -> Turn {
        let turns = Arc::clone(self);
        Turn { turns, subject, chosen: false, spent: false, taken_back: false }
    }

    /// Passes the turn to the waiting attempt that `next` returns, or ends it if there is none.
    fn pass_on(
        self: &Arc<Self>,
        subject: Subject,
        chosen: bool,
        next: impl Fn(&mut Queue) -> Option<Waiter>,
    ) {
        loop {
            let mut queues = self.lock();
            let Some(queue) = queues.get_mut(&subject) else { return };
            let Some(waiter) = next(queue) else {
                queue.running = queue.running.saturating_sub(1);
                if queue.running == 0 {
                    queues.remove(&subject);
                }
                return;
            };
            drop(queues);
            let mut turn = self.turn(subject);
            turn.chosen = chosen;
            match waiter.wake.send(turn) {
                Ok(()) => return,
                Err(mut turn) => turn.taken_back = true,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn newcomers(&self) -> Vec<Newcomer> {
        self.waiting.iter().map(|waiter| waiter.newcomer).collect()
    }

    fn add(&mut self, newcomer: Newcomer) -> oneshot::Receiver<Turn> {
        let (wake, woken) = oneshot::channel();
        self.waiting.push(Waiter { newcomer, wake });
        woken
    }

    /// Removes the waiting attempts whose callers have hung up.
    fn forget_who_left(&mut self) {
        self.waiting.retain(|waiter| !waiter.wake.is_closed());
    }

    /// Removes and returns the waiting attempt with the lowest `Against`; among equals, the
    /// earliest.
    fn first(&mut self) -> Option<Waiter> {
        let waiting = self.waiting.iter().enumerate();
        let (at, _) = waiting.min_by_key(|(_, waiter)| waiter.newcomer.against())?;
        Some(self.waiting.remove(at))
    }

    fn choose(&mut self) -> Option<Waiter> {
        self.forget_who_left();
        let at = choice::next(&self.newcomers(), self.rule)?;
        self.rule = self.rule.other();
        Some(self.waiting.remove(at))
    }
}

impl Turn {
    /// Records that the attempt has failed.
    pub(super) const fn spend(&mut self) {
        self.spent = true;
    }

    /// Returns whether the turn was given by [`Self::choose`].
    pub(super) const fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// Adds an attempt to the waiting ones; the holder of this turn selects among them after the
    /// pause.
    pub(super) fn wait_again(&self, newcomer: Newcomer) -> oneshot::Receiver<Turn> {
        self.turns.lock().entry(self.subject).or_default().add(newcomer)
    }

    /// Returns whether attempts are waiting.
    pub(super) fn is_awaited(&self) -> bool {
        let mut queues = self.turns.lock();
        queues.get_mut(&self.subject).is_some_and(|queue| {
            queue.forget_who_left();
            !queue.waiting.is_empty()
        })
    }

    /// Passes the turn to one of the attempts that wait now.
    pub(super) fn choose(mut self) {
        self.taken_back = true;
        self.turns.pass_on(self.subject, true, Queue::choose);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let spent = self.spent;
        if !self.taken_back {
            // The last running attempt always passes its turn on, so that waiting attempts are not
            // stranded.
            self.turns.pass_on(self.subject, false, |queue| {
                if spent && queue.running > 1 { None } else { queue.first() }
            });
        }
    }
}
