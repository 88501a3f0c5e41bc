//! Selection among the attempts that wait on a name under attack: which runs next, and which is
//! dropped when too many wait.
//!
//! No single rule is fair. If failures and refusals alone decided, attackers with a fresh address
//! for each guess would win: a user who retries as asked collects refusals, and a fresh address has
//! none. If chance alone decided, a few hundred addresses that retry constantly would win. The two
//! rules therefore alternate, so that each kind of attack affects only every other selection.

use std::collections::HashMap;

use super::keys::Origin;
use crate::domain::{RateLimitKey, random_index};

/// Number of failed attempts that [`Rule::Random`] (selection by chance) ignores. Otherwise a user
/// who mistyped a password would rank behind every address without failures.
const FORGIVEN_FAILURES: u32 = 3;

/// Failures and refusals that count against a waiting attempt. Fields are compared in this order,
/// the most significant first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Penalty {
    /// Number of failed attempts from the address, on any name.
    pub(super) failures: u32,
    /// Number of failed attempts on this user name from the network of the address (/24 of IPv4,
    /// /48 of IPv6), in which an attacker gets new addresses at no cost.
    pub(super) network_failures: u32,
    /// Number of refused attempts from the address on user names under attack (with many failures).
    /// In an attack from many addresses, few attempts get a permit, so few can fail, and refusals
    /// show which addresses try often.
    pub(super) refusals: u32,
}

/// A candidate for a permit (right to run): an attempt to authenticate that asks to run.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    origin: Option<Origin>,
    penalty: Penalty,
    /// Random number that decides which of several equal candidates is dropped, so that the first
    /// arrival is as likely to stay as the last.
    tie_breaker: usize,
}

/// Rule by which the next waiting attempt is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rule {
    /// Ranks waiting attempts by all their failures and refusals.
    #[default]
    LowestPenalty,
    /// Ignores refusals and up to `FORGIVEN_FAILURES` failures, so that chance decides among more
    /// waiting attempts.
    Random,
}

impl Rule {
    /// Returns the rule for the selection after this one: the other of the two rules.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::LowestPenalty => Self::Random,
            Self::Random => Self::LowestPenalty,
        }
    }

    const fn rank(self, penalty: &Penalty) -> Penalty {
        match self {
            Self::LowestPenalty => *penalty,
            Self::Random => Penalty {
                failures: penalty.failures / (FORGIVEN_FAILURES + 1),
                network_failures: penalty.network_failures / (FORGIVEN_FAILURES + 1),
                refusals: 0,
            },
        }
    }
}

impl Candidate {
    /// Creates the candidate for an attempt from `origin`. An attempt without a known address ranks
    /// behind all others.
    pub(super) fn new(origin: Option<Origin>, mut penalty: Penalty) -> Self {
        if origin.is_none() {
            penalty.failures = u32::MAX;
        }
        Self { origin, penalty, tie_breaker: random_index(usize::MAX) }
    }

    /// Creates a candidate that competes only with attempts from the same address.
    pub(super) fn within_address() -> Self {
        // All have the same tie-breaker, so that the latest arrival is dropped.
        Self { tie_breaker: 0, ..Self::new(None, Penalty::default()) }
    }

    pub(super) const fn penalty(&self) -> Penalty {
        self.penalty
    }

    fn address(&self) -> Option<RateLimitKey> {
        self.origin.map(|origin| origin.address)
    }

    fn network(&self) -> Option<RateLimitKey> {
        self.origin.map(|origin| origin.network)
    }
}

/// Returns the index of the candidate to run next. Among those that `rule` ranks best, each network
/// is equally likely, however many attempts wait there, and within the network each address.
pub(super) fn select_next(waiting: &[Candidate], rule: Rule) -> Option<usize> {
    let best = waiting.iter().map(|one| rule.rank(&one.penalty)).min()?;
    let mut left: Vec<(usize, &Candidate)> =
        waiting.iter().enumerate().filter(|(_, one)| rule.rank(&one.penalty) == best).collect();
    retain_random_group(&mut left, Candidate::network);
    retain_random_group(&mut left, Candidate::address);
    left.get(random_index(left.len())).map(|(index, _)| *index)
}

/// Groups the candidates by `group_of`, draws one group, all equally likely, and removes the
/// candidates of the other groups.
fn retain_random_group(
    left: &mut Vec<(usize, &Candidate)>,
    group_of: impl Fn(&Candidate) -> Option<RateLimitKey>,
) {
    let mut groups = Vec::new();
    for (_, one) in left.iter() {
        let group = group_of(one);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let drawn = groups.get(random_index(groups.len())).copied();
    left.retain(|(_, one)| Some(group_of(one)) == drawn);
}

/// Returns the index of the waiting attempt to drop: one of those with the highest [`Penalty`]
/// (most failures and refusals), from the network with the most such attempts.
pub(super) fn select_dropped(waiting: &[Candidate]) -> Option<usize> {
    let worst = waiting.iter().map(Candidate::penalty).max()?;
    let worst = || waiting.iter().enumerate().filter(move |(_, one)| one.penalty == worst);
    let mut network_sizes = HashMap::new();
    for (_, one) in worst() {
        *network_sizes.entry(one.network()).or_insert(0_usize) += 1;
    }
    worst()
        .max_by_key(|(_, one)| (network_sizes.get(&one.network()), one.tie_breaker))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests;
