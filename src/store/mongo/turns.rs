//! Whose call goes to MongoDB next, and how many wait for that.
//!
//! The driver lets any number of calls wait for its connections. But the place of one that was given up stays taken
//! there until something happens in the pool, and then one place is freed at a time. After MongoDB had hung for some
//! seconds with hundreds of calls waiting, all later ones stood behind those and were given up in their turn, though
//! it answered again. So calls wait here, and go to the driver only when a connection should be free, and with time
//! enough; while MongoDB hangs, one goes at a time, to find out when it is back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Calls that MongoDB has not answered yet, beyond which no new ones should begin. When it hangs, all of them wait
/// until they are given up.
const UNANSWERED: usize = 4096;
/// How many go at once where the connections have no limit.
const MANY: usize = 1000;

/// The turns of one process.
pub(super) struct Turns {
    turns: Semaphore,
    /// How many there are.
    all: usize,
    /// How many are not given to anybody until a call has been answered.
    resting: AtomicUsize,
    unanswered: AtomicUsize,
}

impl Turns {
    /// So many at once; 0 is any number.
    pub(super) fn new(connections: u32) -> Self {
        let all = if connections == 0 { MANY } else { connections as usize };
        Self {
            turns: Semaphore::new(all),
            all,
            resting: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
        }
    }

    /// Whether few enough calls wait for more to begin.
    pub(super) fn have_room(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) < UNANSWERED
    }

    /// What is answered to `call`, if it comes in time.
    pub(super) async fn take<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = T>,
    ) -> Option<T> {
        let _unanswered = Unanswered::one_more(&self.unanswered);
        let started = Instant::now();
        // With no time left it would be given up as soon as it has begun.
        let in_time = started + limit - limit / 8;
        let permit = timeout_at(in_time, self.turns.acquire()).await.ok()?.ok()?;
        let turn = Turn { of: self, permit: Some(permit) };
        let answer = timeout_at(started + limit, call).await.ok()?;
        turn.answered();
        Some(answer)
    }

    /// Whether a turn that came to nothing is to rest: all but one do.
    fn rests(&self) -> bool {
        let more = |resting| (resting + 1 < self.all).then_some(resting + 1);
        self.resting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// The turn of a call. It rests if the call is given up, or nobody waits for it any more.
struct Turn<'a> {
    of: &'a Turns,
    permit: Option<SemaphorePermit<'a>>,
}

impl Turn<'_> {
    /// MongoDB is there: no turn rests any longer.
    fn answered(mut self) {
        drop(self.permit.take());
        self.of.turns.add_permits(self.of.resting.swap(0, Ordering::Relaxed));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && self.of.rests()
        {
            permit.forget();
        }
    }
}

/// A call that MongoDB has not answered yet, and that somebody waits for.
struct Unanswered<'a>(&'a AtomicUsize);

impl<'a> Unanswered<'a> {
    fn one_more(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use futures_util::future::join_all;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(4);

    #[tokio::test(start_paused = true)]
    async fn while_it_hangs_one_call_goes_at_a_time_and_then_all_do() {
        let turns = Turns::new(10);
        let sent = Cell::new(0);
        let hanging = || {
            turns.take(LIMIT, async {
                sent.set(sent.get() + 1);
                pending::<()>().await;
            })
        };
        let answers = join_all((0..500).map(|_| hanging())).await;
        assert!(answers.iter().all(Option::is_none));
        assert_eq!(sent.get(), 10, "those that wait are not sent when the others are given up");
        assert!(join_all((0..500).map(|_| hanging())).await.iter().all(Option::is_none));
        assert_eq!(sent.get(), 11);

        assert_eq!(turns.take(LIMIT, ready(7)).await, Some(7));
        join_all((0..500).map(|_| hanging())).await;
        assert_eq!(sent.get(), 21);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_until_too_many_wait() {
        let turns = Turns::new(0);
        let waiting = join_all((0..UNANSWERED).map(|_| turns.take(LIMIT, pending::<()>())));
        let looking = async {
            tokio::time::sleep(LIMIT / 4).await;
            turns.have_room()
        };
        let (_, had_room) = tokio::join!(waiting, looking);
        assert!(!had_room);
        assert!(turns.have_room());
    }
}
