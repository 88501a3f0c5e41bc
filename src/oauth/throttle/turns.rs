//! Who may try now, and who has to wait for others to be done: in this process, for what is being tried
//! at the moment.
//!
//! Failures are counted when they are known, which takes a hash. If nobody had to wait meanwhile, a
//! thousand guesses sent at once would all find an empty counter. So only as many attempts on one subject
//! run at a time as may still fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::choice::{self, Newcomer, Rule};
use crate::domain::Subject;

/// The attempts that run, and those that wait.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Subject, Queue>>);

#[derive(Default)]
struct Queue {
    running: usize,
    /// In the order of their coming.
    waiting: Vec<Waiter>,
    /// By what is chosen the next time.
    rule: Rule,
}

struct Waiter {
    newcomer: Newcomer,
    wake: oneshot::Sender<Turn>,
}

/// Where a newcomer stands.
pub(super) enum Place {
    /// It may go on.
    Now(Turn),
    /// It will be told; or not, when somebody else gets its place.
    Later(oneshot::Receiver<Turn>),
    /// Too many are waiting that go before it.
    Full,
}

/// The right to try. It goes on to the next one when it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    subject: Subject,
    /// It was chosen from all who waited, after the pause.
    chosen: bool,
    /// The attempt has failed: fewer may run from now on.
    spent: bool,
    taken_back: bool,
}

impl Turns {
    /// At most `slots` (but one always) run at a time, and `places` wait. When more come, somebody leaves.
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

    /// The turn goes to one who waits, or ends.
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

    /// Who has hung up leaves its place.
    fn forget_who_left(&mut self) {
        self.waiting.retain(|waiter| !waiter.wake.is_closed());
    }

    /// The first of those against whom there is least.
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
    /// The attempt has failed.
    pub(super) const fn spend(&mut self) {
        self.spent = true;
    }

    /// Whether it came by [`Self::choose`].
    pub(super) const fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// Waits beside the others until one is chosen, by whoever has this turn meanwhile.
    pub(super) fn wait_again(&self, newcomer: Newcomer) -> oneshot::Receiver<Turn> {
        self.turns.lock().entry(self.subject).or_default().add(newcomer)
    }

    /// Whether somebody is waiting.
    pub(super) fn is_awaited(&self) -> bool {
        let mut queues = self.turns.lock();
        queues.get_mut(&self.subject).is_some_and(|queue| {
            queue.forget_who_left();
            !queue.waiting.is_empty()
        })
    }

    /// It goes to one of all who wait now.
    pub(super) fn choose(mut self) {
        self.taken_back = true;
        self.turns.pass_on(self.subject, true, Queue::choose);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let spent = self.spent;
        if !self.taken_back {
            // The last one that runs always passes it on, so that nobody waits for good.
            self.turns.pass_on(self.subject, false, |queue| {
                if spent && queue.running > 1 { None } else { queue.first() }
            });
        }
    }
}
