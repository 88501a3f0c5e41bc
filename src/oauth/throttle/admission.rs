//! Admission of attempts: waits for the turns that an attempt needs, or refuses it.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::choice::{Against, Newcomer};
use super::turns::{Place, Turn};
use super::{Guessed, Throttle, Throttled, subjects};
use crate::domain::{Subject, Tally};

/// First pause between attempts on a name under attack. It doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause. It leaves an attacker 900 attempts an hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Longest total time that an attempt waits; shorter than the timeouts of clients.
const PATIENCE: Duration = Duration::from_secs(15);
/// Maximum number of refusals counted for an address.
const REFUSALS: u32 = 1000;
/// Maximum number of attempts waiting for one address or name. On a name under attack few of them
/// get a turn before `PATIENCE` is over, but only waiting attempts can be selected.
const PLACES: usize = 256;

/// Keys of an address and of its wider network.
type Origin = (Subject, Subject);

/// The turn of an address, the failures counted for it by then, and whether it waited for other
/// attempts.
struct OfAddress {
    turn: Turn,
    tally: Tally,
    has_waited: bool,
}

impl Throttle {
    /// Returns the turns that an attempt needs, after waiting for them. An attempt that stops
    /// waiting leaves its place to others.
    pub(super) async fn take_turns(
        &self,
        what: Guessed,
        address: Option<IpAddr>,
        name: Subject,
    ) -> Result<Vec<Turn>, Throttled> {
        let from = address
            .map(|address| (subjects::address(what, address), subjects::network(name, address)));
        let until = Instant::now() + PATIENCE;
        let (mut of_address, mut of_name) = self.recent(from, name).await;
        let mut turns = Vec::with_capacity(2);
        // Always address before name: a fixed order prevents deadlocks.
        if let Some((from, _)) = from {
            let waiting = timeout_at(until, self.turn_of_address(what, from, of_address)).await;
            let own = waiting
                .unwrap_or_else(|_| Err(self.refuse(&self.refused.address, LONGEST_PAUSE)))?;
            turns.push(own.turn);
            of_address = own.tally;
            if own.has_waited {
                // Other attempts may have failed in the meantime.
                of_name = self.recent_of(name).await;
            }
        }
        match timeout_at(until, self.turn_on_name(name, from, of_address, of_name)).await {
            Ok(turn) => turns.extend(turn?),
            Err(_) => return Err(self.refuse_on_name(from, LONGEST_PAUSE).await),
        }
        Ok(turns)
    }

    /// Returns the turn of an address. Refuses the attempt if its budget is spent.
    async fn turn_of_address(
        &self,
        what: Guessed,
        from: Subject,
        mut tally: Tally,
    ) -> Result<OfAddress, Throttled> {
        let newcomer = Newcomer::of_address();
        let (mut turn, mut has_waited) = (None, false);
        loop {
            let left = self.inner.policy.failures_per_address.saturating_sub(tally.total());
            if left == 0 {
                return Err(self.spent(what, &tally));
            }
            if let Some(turn) = turn {
                return Ok(OfAddress { turn, tally, has_waited });
            }
            match self.inner.turns.take(from, left, PLACES, newcomer) {
                Place::Now(turn) => return Ok(OfAddress { turn, tally, has_waited }),
                Place::Later(woken) => {
                    turn = woken.await.ok();
                    has_waited = true;
                }
                Place::Full => return Err(self.refuse(&self.refused.address, Duration::ZERO)),
            }
            tally = self.recent_of(from).await;
        }
    }

    /// Returns the turn on a name; `None` for a known device on a name under attack, which needs
    /// none.
    async fn turn_on_name(
        &self,
        name: Subject,
        from: Option<Origin>,
        of_address: Tally,
        mut tally: Tally,
    ) -> Result<Option<Turn>, Throttled> {
        let limit = self.inner.policy.failures_per_user;
        if tally.total() >= limit && self.is_known(name, from).await {
            return Ok(None);
        }
        let mut newcomer = self.newcomer(from, of_address, tally.total() >= limit).await;
        let left = limit.saturating_sub(tally.total());
        let mut place = self.inner.turns.take(name, left, PLACES, newcomer);
        loop {
            let turn = match place {
                Place::Now(turn) => turn,
                Place::Later(woken) => {
                    let woken = woken.await;
                    tally = self.recent_of(name).await;
                    match woken {
                        Ok(turn) => turn,
                        Err(_) => break,
                    }
                }
                Place::Full => break,
            };
            if turn.is_chosen() || tally.total() < limit {
                return Ok(Some(turn));
            }
            newcomer = self.newcomer(from, of_address, true).await;
            place = Place::Later(turn.wait_again(newcomer));
            tokio::spawn(self.clone().choose_after_pause(turn, name, tally));
        }
        Err(self.refuse_on_name(from, pause(tally.total(), limit)).await)
    }

    /// Waits for the next free slot and then gives the turn to one of the attempts that wait. The
    /// slot is not reserved for one attempt: a client that hangs up would take the slot away from
    /// the others.
    async fn choose_after_pause(self, turn: Turn, name: Subject, tally: Tally) {
        let pause = pause(tally.total(), self.inner.policy.failures_per_user);
        while turn.is_awaited() {
            if let Some(wait) =
                self.inner.attempts.reserve(name, pause, PATIENCE, self.slice()).await
            {
                tokio::time::sleep(wait).await;
                return turn.choose();
            }
            // Other processes have reserved all slots within `PATIENCE`.
            tokio::time::sleep(pause).await;
        }
    }

    /// Builds the entry of an attempt for the selection, with the failures and refusals of its
    /// origin.
    async fn newcomer(
        &self,
        from: Option<Origin>,
        of_address: Tally,
        under_attack: bool,
    ) -> Newcomer {
        let mut against = Against { failures: of_address.total(), ..Against::default() };
        if let Some((from, network)) = from.filter(|_| under_attack) {
            let subjects = [network, subjects::refusals(from)];
            let tallies = self.inner.attempts.recent(&subjects, self.slice()).await;
            let mut totals = tallies.iter().map(Tally::total);
            against.around = totals.next().unwrap_or_default();
            against.refusals = totals.next().unwrap_or_default();
        }
        Newcomer::new(from, against)
    }

    /// Refuses an attempt on a name. The refusal is counted, and used only for the selection.
    async fn refuse_on_name(&self, from: Option<Origin>, wait: Duration) -> Throttled {
        if let Some((from, _)) = from {
            let refusals = subjects::refusals(from);
            self.inner.attempts.add(refusals, REFUSALS, self.slice()).await;
        }
        self.refuse(&self.refused.user, wait)
    }

    async fn is_known(&self, name: Subject, from: Option<Origin>) -> bool {
        let Some((from, _)) = from else { return false };
        let known = subjects::acquaintance(name, from);
        self.inner.attempts.is_remembered(known, self.slice()).await
    }

    /// Returns the failures of the address and those on the name.
    async fn recent(&self, from: Option<Origin>, name: Subject) -> (Tally, Tally) {
        let from = from.map(|(from, _)| from);
        let subjects: Vec<Subject> = [name].into_iter().chain(from).collect();
        let mut tallies = self.inner.attempts.recent(&subjects, self.slice()).await.into_iter();
        let of_name = tallies.next().unwrap_or_default();
        (tallies.next().unwrap_or_default(), of_name)
    }

    async fn recent_of(&self, subject: Subject) -> Tally {
        let tallies = self.inner.attempts.recent(&[subject], self.slice()).await;
        tallies.first().copied().unwrap_or_default()
    }
}

/// Returns the pause after an attempt on a name with this number of failures.
fn pause(failures: u32, limit: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(limit)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}
