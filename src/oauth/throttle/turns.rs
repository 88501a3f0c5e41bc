//! Who may try now, and who has to wait for others to be done: in this process, for what is being tried
//! at the moment.
//!
//! Failures are counted when they are known, which takes a hash. If nobody had to wait meanwhile, a
//! thousand guesses sent at once would all find an empty counter. So only as many attempts on one subject
//! run at a time as may still fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::domain::Subject;

/// The attempts that run, and those that wait.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Subject, Queue>>);

#[derive(Default)]
struct Queue {
    running: usize,
    /// In the order of their coming.
    waiting: Vec<Waiter>,
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

/// Somebody who wants to try.
#[derive(Clone, Copy)]
pub(super) struct Newcomer {
    /// Where it comes from.
    pub(super) from: Option<Subject>,
    /// What speaks against that address. Those go first against whom there is less.
    pub(super) against: u32,
}

/// The right to try. It goes on to the next one when it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    subject: Subject,
    /// The attempt has failed: fewer may run from now on.
    spent: bool,
    taken_back: bool,
}

impl Turns {
    /// At most `slots` (but one always) run at a time, and `places` wait. Who comes when all are taken gets
    /// the place of one against whom there is more.
    pub(super) fn take(
        self: &Arc<Self>,
        subject: Subject,
        slots: u32,
        places: usize,
        mut newcomer: Newcomer,
    ) -> Place {
        let mut queues = self.lock();
        let queue = queues.entry(subject).or_default();
        // Who has hung up leaves its place.
        queue.waiting.retain(|waiter| !waiter.wake.is_closed());
        let slots = usize::try_from(slots).unwrap_or(usize::MAX).max(1);
        if queue.running < slots && queue.waiting.is_empty() {
            queue.running += 1;
            return Place::Now(self.turn(subject));
        }
        // Or a single address could take all places before it is known what its guesses are worth.
        let same = queue.waiting.iter().filter(|waiter| waiter.newcomer.from == newcomer.from);
        let same = u32::try_from(same.count()).unwrap_or(u32::MAX);
        newcomer.against = newcomer.against.saturating_add(same);
        if queue.waiting.len() >= places {
            let worst = queue.waiting.iter().enumerate();
            let worst = worst.max_by_key(|(_, waiter)| waiter.newcomer.against);
            match worst {
                Some((at, worst)) if worst.newcomer.against > newcomer.against => {
                    drop(queue.waiting.remove(at));
                }
                _ => return Place::Full,
            }
        }
        let (wake, woken) = oneshot::channel();
        queue.waiting.push(Waiter { newcomer, wake });
        Place::Later(woken)
    }

    fn turn(self: &Arc<Self>, subject: Subject) -> Turn {
        Turn { turns: Arc::clone(self), subject, spent: false, taken_back: false }
    }

    /// The turn goes to the next one, or ends. The last one that runs always passes it on, so that nobody
    /// waits for good.
    fn pass_on(self: &Arc<Self>, subject: Subject, spent: bool) {
        loop {
            let mut queues = self.lock();
            let Some(queue) = queues.get_mut(&subject) else { return };
            let next = if spent && queue.running > 1 { None } else { queue.next() };
            let Some(waiter) = next else {
                queue.running = queue.running.saturating_sub(1);
                if queue.running == 0 {
                    queues.remove(&subject);
                }
                return;
            };
            drop(queues);
            match waiter.wake.send(self.turn(subject)) {
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
    fn next(&mut self) -> Option<Waiter> {
        let waiting = self.waiting.iter().enumerate();
        let (at, _) = waiting.min_by_key(|(_, waiter)| waiter.newcomer.against)?;
        Some(self.waiting.remove(at))
    }
}

impl Turn {
    /// The attempt has failed.
    pub(super) const fn spend(&mut self) {
        self.spent = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.taken_back {
            self.turns.pass_on(self.subject, self.spent);
        }
    }
}
