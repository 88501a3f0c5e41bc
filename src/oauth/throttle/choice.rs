//! Selection among the attempts that wait on a name under attack: which runs next, and which is
//! dropped when too many wait.
//!
//! No single rule is fair. If failures and refusals alone decided, attackers with a fresh address
//! for each guess would win: a user who retries as asked collects refusals, and a fresh address has
//! none. If chance alone decided, a few hundred addresses that retry constantly would win. The two
//! rules therefore alternate, so that each kind of attack affects only every other selection.

use std::collections::HashMap;

use crate::domain::{Subject, draw_lot};

/// Number of failures that [`Rule::Chance`] ignores. Without it, a user who mistyped a password
/// would rank behind every address without failures.
const FORGIVEN: u32 = 3;

/// Failures and refusals that count against an attempt. Fields are compared in this order, the most
/// significant first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Against {
    /// Failures of the address, on any name.
    pub(super) failures: u32,
    /// Failures on this name from the wider network, in which an attacker gets new addresses at no
    /// cost.
    pub(super) around: u32,
    /// Refusals of the address on names under attack. In an attack from many addresses, few get a
    /// turn in which they could fail.
    pub(super) refusals: u32,
}

/// An attempt that wants to run.
#[derive(Clone, Copy)]
pub(super) struct Newcomer {
    from: Option<Subject>,
    network: Option<Subject>,
    against: Against,
    /// Random tie-breaker for dropping: among equals, the first arrival is as likely to stay as the
    /// last.
    lot: usize,
}

/// Rule for the next selection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rule {
    /// Rank by all failures and refusals.
    #[default]
    Merit,
    /// Ignore refusals and up to `FORGIVEN` failures, so that chance decides among more attempts.
    Chance,
}

impl Rule {
    /// Returns the rule for the selection after this one.
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
    /// Creates an attempt from this address and network. An attempt without an address ranks behind
    /// all others.
    pub(super) fn new(from: Option<(Subject, Subject)>, against: Against) -> Self {
        let nowhere = Against { failures: u32::MAX, ..against };
        let against = if from.is_some() { against } else { nowhere };
        let (from, network) = from.unzip();
        Self { from, network, against, lot: draw_lot(usize::MAX) }
    }

    /// Creates an attempt that competes only with attempts from the same address.
    pub(super) fn of_address() -> Self {
        // All have the same tie-breaker, so that the latest arrival is dropped.
        Self { lot: 0, ..Self::new(None, Against::default()) }
    }

    /// Returns the failures and refusals that count against the attempt.
    pub(super) const fn against(&self) -> Against {
        self.against
    }
}

/// Returns the index of the attempt to run next. Among those with the best rank, each network is
/// equally likely, however many attempts wait there, and within the network each address.
pub(super) fn next(waiting: &[Newcomer], rule: Rule) -> Option<usize> {
    let best = waiting.iter().map(|one| rule.rank(&one.against)).min()?;
    let mut left: Vec<(usize, &Newcomer)> =
        waiting.iter().enumerate().filter(|(_, one)| rule.rank(&one.against) == best).collect();
    draw_one(&mut left, |one| one.network);
    draw_one(&mut left, |one| one.from);
    left.get(draw_lot(left.len())).map(|(at, _)| *at)
}

/// Draws one of the distinct values of `of`, all equally likely, and keeps the entries that have
/// it.
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

/// Returns the index of the attempt to drop: one of those with the highest [`Against`], from the
/// network with the most of them.
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
