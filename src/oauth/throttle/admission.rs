//! Whether an attempt may be made, and when.

use std::time::Duration;

use super::turns::{Newcomer, Place, Turn};
use super::{Guessed, Throttle, Throttled, subjects};
use crate::domain::{Subject, Tally};

/// The first pause on a name under attack. It doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause, which leaves an attacker 900 attempts in an hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How long an attempt waits at most, all in all, which is shorter than clients do.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many wait for their turn on a name under attack: no more than have the patience.
const PLACES_UNDER_ATTACK: usize = 2;
/// So many refusals of an address are kept in mind.
const REFUSALS: u32 = 1000;
/// How many wait otherwise, which is until it is known whether those before them fail.
const PLACES: usize = 256;

impl Throttle {
    /// The turns that an attempt needs, once it has them. Who gives up waiting leaves them to others.
    pub(super) async fn take_turns(
        &self,
        what: Guessed,
        from: Option<Subject>,
        name: Subject,
    ) -> Result<Vec<Turn>, Throttled> {
        let turns = tokio::time::timeout(PATIENCE, async {
            let (mut of_address, of_name) = self.recent(from, name).await;
            let mut turns = Vec::with_capacity(2);
            // In this order, always, so that no two wait for each other.
            if let Some(from) = from {
                let (turn, tally) = self.turn_of_address(what, from, of_address).await?;
                turns.push(turn);
                of_address = tally;
            }
            turns.extend(self.turn_on_name(name, from, of_address, of_name).await?);
            Ok(turns)
        });
        turns.await.unwrap_or_else(|_| Err(self.refuse(&self.refused.user, LONGEST_PAUSE)))
    }

    /// The turn of an address, if there is something left of its budget, and its failures by then.
    async fn turn_of_address(
        &self,
        what: Guessed,
        from: Subject,
        mut tally: Tally,
    ) -> Result<(Turn, Tally), Throttled> {
        let newcomer = Newcomer { from: None, against: 0 };
        let mut turn = None;
        loop {
            let left = self.inner.policy.failures_per_address.saturating_sub(tally.total());
            if left == 0 {
                return Err(self.spent(what, &tally));
            }
            if let Some(turn) = turn {
                return Ok((turn, tally));
            }
            match self.inner.turns.take(from, left, PLACES, newcomer) {
                Place::Now(turn) => return Ok((turn, tally)),
                Place::Later(woken) => turn = woken.await.ok(),
                Place::Full => return Err(self.refuse(&self.refused.address, Duration::ZERO)),
            }
            tally = self.recent_of(from).await;
        }
    }

    /// The turn on a name; none for those who need none.
    async fn turn_on_name(
        &self,
        name: Subject,
        from: Option<Subject>,
        of_address: Tally,
        mut tally: Tally,
    ) -> Result<Option<Turn>, Throttled> {
        let (inner, limit) = (&self.inner, self.inner.policy.failures_per_user);
        let under_attack = tally.total() >= limit;
        if under_attack && self.is_known(name, from).await {
            return Ok(None);
        }
        let newcomer = self.newcomer(from, of_address, under_attack).await;
        let left = limit.saturating_sub(tally.total());
        let places = if under_attack { PLACES_UNDER_ATTACK } else { PLACES };
        let woken = match inner.turns.take(name, left, places, newcomer) {
            Place::Now(turn) => Ok(turn),
            Place::Later(woken) => {
                let woken = woken.await;
                tally = self.recent_of(name).await;
                woken.map_err(drop)
            }
            Place::Full => Err(()),
        };
        let Ok(turn) = woken else {
            if let Some(from) = from {
                let refusals = subjects::refusals(from);
                inner.attempts.add(refusals, REFUSALS, self.slice()).await;
            }
            return Err(self.refuse(&self.refused.user, pause(tally.total(), limit)));
        };
        if tally.total() >= limit {
            let pause = pause(tally.total(), limit);
            let wait = inner.attempts.reserve(name, pause, PATIENCE, self.slice()).await;
            tokio::time::sleep(wait.ok_or_else(|| self.refuse(&self.refused.user, LONGEST_PAUSE))?)
                .await;
        }
        Ok(Some(turn))
    }

    /// What speaks against an address: that it has failed, and that it keeps asking though it was told to
    /// come back. The latter counts for nothing else, but of those who attack a name with many addresses
    /// few get so far as to fail.
    async fn newcomer(
        &self,
        from: Option<Subject>,
        of_address: Tally,
        under_attack: bool,
    ) -> Newcomer {
        let against = match from {
            None => u32::MAX,
            Some(from) if under_attack => {
                let refused = self.recent_of(subjects::refusals(from)).await;
                of_address.total().saturating_add(refused.total())
            }
            Some(_) => of_address.total(),
        };
        Newcomer { from, against }
    }

    async fn is_known(&self, name: Subject, from: Option<Subject>) -> bool {
        let Some(from) = from else { return false };
        let known = subjects::acquaintance(name, from);
        self.inner.attempts.is_remembered(known, self.slice()).await
    }

    /// The failures of an address and those on a name.
    async fn recent(&self, from: Option<Subject>, name: Subject) -> (Tally, Tally) {
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

/// The pause after an attempt on a name on which so many have failed.
fn pause(failures: u32, limit: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(limit)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}
