//! Which of those who wait for a name under attack is looked at next, and who leaves when too many wait.
//!
//! No single rule is fair. Who asks often would lose by refusals, though it is the user who comes back as
//! told, against attackers with a fresh address for each guess; by chance alone the user would lose
//! against some hundred addresses that come again and again. So the two take turns, and each kind of
//! attack leaves the user every other one.

use std::collections::HashMap;

use crate::domain::{Subject, draw_lot};

/// So many failures and one more are worse by chance too. Whoever has mistyped a password is not to be
/// behind every address that has never been seen.
const FORGIVEN: u32 = 3;

/// What speaks against somebody, the weightiest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Against {
    /// Failures of the address, on whatever name.
    pub(super) failures: u32,
    /// Failures on this name from the wider network. A new address costs nothing there.
    pub(super) around: u32,
    /// How often the address was refused on a name. Of those who attack a name with many addresses few
    /// get so far as to fail.
    pub(super) refusals: u32,
}

/// Somebody who wants to try.
#[derive(Clone, Copy)]
pub(super) struct Newcomer {
    from: Option<Subject>,
    network: Option<Subject>,
    against: Against,
    /// Decides who stays when too many equals come: as likely the first as the last.
    lot: usize,
}

/// By what is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rule {
    /// All that speaks against somebody.
    #[default]
    Merit,
    /// Chance, among all against whom there is next to nothing, whatever they were refused.
    Chance,
}

impl Rule {
    /// The one that is used after this one.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Merit => Self::Chance,
            Self::Chance => Self::Merit,
        }
    }

    const fn rank(self, against: &Against) -> Against {
        let Against { failures, around, .. } = *against;
        match self {
            Self::Merit => *against,
            Self::Chance => Against {
                failures: failures / (FORGIVEN + 1),
                around: around / (FORGIVEN + 1),
                refusals: 0,
            },
        }
    }
}

impl Newcomer {
    /// Somebody from this address and network. Who comes from nowhere is behind all others.
    pub(super) fn new(from: Option<(Subject, Subject)>, against: Against) -> Self {
        let nowhere = Against { failures: u32::MAX, ..against };
        let against = if from.is_some() { against } else { nowhere };
        let (from, network) = from.unzip();
        Self { from, network, against, lot: draw_lot(usize::MAX) }
    }

    /// Somebody who waits for nobody but others of the same address.
    pub(super) fn of_address() -> Self {
        // One lot for all: the last to come leaves.
        Self { lot: 0, ..Self::new(None, Against::default()) }
    }

    /// What speaks against it.
    pub(super) const fn against(&self) -> Against {
        self.against
    }
}

/// Who is next: of the best, one network is as likely as another, however many wait there, and in it each
/// address.
pub(super) fn next(waiting: &[Newcomer], rule: Rule) -> Option<usize> {
    let best = waiting.iter().map(|one| rule.rank(&one.against)).min()?;
    let mut left: Vec<(usize, &Newcomer)> =
        waiting.iter().enumerate().filter(|(_, one)| rule.rank(&one.against) == best).collect();
    draw_one(&mut left, |one| one.network);
    draw_one(&mut left, |one| one.from);
    left.get(draw_lot(left.len())).map(|(at, _)| *at)
}

/// Leaves those who have in common what one of the values is, each as likely.
fn draw_one(left: &mut Vec<(usize, &Newcomer)>, of: impl Fn(&Newcomer) -> Option<Subject>) {
    let mut values = Vec::new();
    for (_, one) in left.iter() {
        let value = of(one);
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let drawn = values.get(draw_lot(values.len())).copied();
    left.retain(|(_, one)| Some(of(one)) == drawn);
}

/// Who leaves: one of the worst, from where most of them come.
pub(super) fn last(waiting: &[Newcomer]) -> Option<usize> {
    let worst = waiting.iter().map(|one| one.against).max()?;
    let worst = || waiting.iter().enumerate().filter(move |(_, one)| one.against == worst);
    let mut crowds = HashMap::new();
    for (_, one) in worst() {
        *crowds.entry(one.network).or_insert(0_usize) += 1;
    }
    worst().max_by_key(|(_, one)| (crowds.get(&one.network), one.lot)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests;
