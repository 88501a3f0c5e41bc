//! Wrong passwords that are repeated, as by a phone with an old password, and count only once.
//!
//! The address is part of what is remembered. Otherwise a stranger would learn, by a guess that
//! does not count, that a device elsewhere uses this password.

use std::net::IpAddr;
use std::time::Duration;

use super::{CredentialKind, keys};
use crate::domain::{ProcessKey, RateLimitKey, RateLimitKeyKind, Timestamp};
use crate::store::BoundedMap;

/// Time in which the same wrong password for the same name from the same address counts once.
const TTL: Duration = Duration::from_secs(600);
/// Number of repetitions in that time after which one more failure counts. Every attempt costs a
/// hash, so a flood with one wrong password must spend a budget too. A device that tries again
/// every six seconds does not exceed it.
const MAX_REPETITIONS: u32 = 100;
/// Number of repetitions in that time, of any passwords, that are free for an address; networks
/// around it have multiples. Otherwise each failure of a budget would give a hundred free hashes.
const MAX_ADDRESS_REPETITIONS: u32 = 200;

/// Wrong passwords of the last ten minutes, in the memory of the process: the first 32 bits of a
/// MAC of each, under a key that exists only there. So few bits confirm no password.
pub(super) struct RepeatedGuesses {
    key: ProcessKey,
    /// Time at which each wrong password was counted, and its repetitions since.
    counted: BoundedMap<(Timestamp, u32)>,
    /// Time of the first repetition from each address or network, and their number since.
    repetitions: BoundedMap<(Timestamp, u32)>,
}

impl RepeatedGuesses {
    pub(super) fn new() -> Self {
        Self {
            key: ProcessKey::generate(),
            counted: BoundedMap::new(),
            repetitions: BoundedMap::new(),
        }
    }

    /// Returns whether this wrong password for `name` has been counted for `address` in the last
    /// ten minutes, and neither it nor others were repeated there too often since. If not, the
    /// caller counts it, and this is recorded.
    pub(super) fn is_repeated(
        &self,
        kind: CredentialKind,
        address: Option<IpAddr>,
        name: RateLimitKey,
        guess: &str,
        now: Timestamp,
    ) -> bool {
        let mac = self.key.mac(&[name.as_bytes(), guess.as_bytes()]);
        let (mac, _) = mac.as_bytes().split_at(4);
        let budgets = address.map(|address| keys::budgets(kind, address, MAX_ADDRESS_REPETITIONS));
        let budgets = budgets.unwrap_or_default();
        let address = budgets.first().map(|budget| *budget.key.as_bytes()).unwrap_or_default();
        let parts = [name.as_bytes().as_slice(), &address, mac];
        let key = RateLimitKey::new(RateLimitKeyKind::RepeatedGuess, &parts);
        let is_repeated = self.counted.update(
            &key,
            (NEVER, 0),
            |(at, _)| *at,
            |(at, repetitions)| {
                if is_recent(*at, now) && *repetitions < MAX_REPETITIONS {
                    *repetitions += 1;
                    return true;
                }
                (*at, *repetitions) = (now, 0);
                false
            },
        );
        // From the address to the larger networks: an address without free repetitions spends none
        // of its network.
        is_repeated
            && budgets.iter().all(|budget| self.count_repetition(&budget.key, budget.limit, now))
    }

    /// Counts a repetition from an address or network, and returns whether there were fewer than
    /// `limit` in the last ten minutes.
    fn count_repetition(&self, key: &RateLimitKey, limit: u32, now: Timestamp) -> bool {
        self.repetitions.update(
            key,
            (NEVER, 0),
            |(since, number)| if is_recent(*since, now) { *number } else { 0 },
            |(since, number)| {
                if !is_recent(*since, now) {
                    (*since, *number) = (now, 0);
                }
                let is_free = *number < limit;
                *number += u32::from(is_free);
                is_free
            },
        )
    }
}

const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at.plus(TTL)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: CredentialKind = CredentialKind::Password;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    /// Sends a wrong password from an address, and returns whether it is a repetition.
    fn repeats(
        guesses: &RepeatedGuesses,
        from: &str,
        name: &str,
        guess: &str,
        seconds: i64,
    ) -> bool {
        let (from, name) = (from.parse().unwrap(), keys::name(KIND, name));
        guesses.is_repeated(KIND, Some(from), name, guess, at(seconds))
    }

    #[test]
    fn same_guess_for_same_name_counts_once_in_ten_minutes() {
        let guesses = RepeatedGuesses::new();
        let repeats = |name, guess, seconds| repeats(&guesses, "192.0.2.1", name, guess, seconds);
        assert!(!repeats("alice", "old", 0));
        assert!(repeats("alice", "old", 599));
        assert!(!repeats("alice", "other", 599));
        assert!(!repeats("bob", "old", 599));
        assert!(!repeats("alice", "old", 600));
        assert!(repeats("alice", "old", 601));
    }

    #[test]
    fn same_guess_from_another_address_counts_again() {
        let guesses = RepeatedGuesses::new();
        let repeats = |from| repeats(&guesses, from, "alice", "old", 0);
        assert!(!repeats("192.0.2.1") && repeats("192.0.2.1"));
        assert!(!repeats("192.0.2.2"));
        assert!(!repeats("2001:db8:0:1::1") && repeats("2001:db8:0:1::2"));
        assert!(!repeats("2001:db8:0:2::1"));
    }

    #[test]
    fn flood_of_one_guess_counts_every_hundredth_repetition() {
        let guesses = RepeatedGuesses::new();
        let alice = keys::name(KIND, "alice");
        let counted =
            (0..1010).filter(|_| !guesses.is_repeated(KIND, None, alice, "old", at(0))).count();
        assert_eq!(counted, 10);
    }

    #[test]
    fn address_has_200_free_repetitions_in_ten_minutes() {
        let guesses = RepeatedGuesses::new();
        let free = |from: &str, seconds| {
            let names = (0..50).map(|number| format!("user-{number}"));
            let one = |name: &String| repeats(&guesses, from, name, "old", seconds);
            names.map(|name| (0..10).filter(|_| one(&name)).count()).sum::<usize>()
        };
        assert_eq!(free("192.0.2.1", 0), 200);
        assert_eq!(free("192.0.2.2", 0), 200);
        assert_eq!(free("192.0.2.1", 600), 200);
    }
}
