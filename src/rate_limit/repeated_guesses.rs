//! Wrong passwords that are repeated, as by a phone with an old password, and count only once.

use std::time::Duration;

use crate::domain::{ProcessKey, RateLimitKey, RateLimitKeyKind, Timestamp};
use crate::store::BoundedMap;

/// Time in which the same wrong password for the same name counts once.
const TTL: Duration = Duration::from_secs(600);
/// Number of repetitions in that time after which one more failure counts. Every attempt costs a
/// hash, so a flood with one wrong password must spend a budget too. A device that tries again
/// every six seconds does not exceed it.
const MAX_REPETITIONS: u32 = 100;

/// Wrong passwords of the last ten minutes, in the memory of the process: the first 32 bits of a
/// MAC of each, under a key that exists only there. So few bits confirm no password.
pub(super) struct RepeatedGuesses {
    key: ProcessKey,
    /// Time at which each wrong password was counted, and its repetitions since.
    counted: BoundedMap<(Timestamp, u32)>,
}

impl RepeatedGuesses {
    pub(super) fn new() -> Self {
        Self { key: ProcessKey::generate(), counted: BoundedMap::new() }
    }

    /// Returns whether this wrong password for `name` has been counted in the last ten minutes, and
    /// was not repeated too often since. If not, records that it is counted now.
    pub(super) fn is_repeated(&self, name: RateLimitKey, guess: &str, now: Timestamp) -> bool {
        let mac = self.key.mac(&[name.as_bytes(), guess.as_bytes()]);
        let (mac, _) = mac.as_bytes().split_at(4);
        let key = RateLimitKey::new(RateLimitKeyKind::RepeatedGuess, &[name.as_bytes(), mac]);
        let never = Timestamp::from_millis(i64::MIN);
        self.counted.update(
            &key,
            (never, 0),
            |(at, _)| *at,
            |(at, repetitions)| {
                let is_recent = *at <= now && now < at.plus(TTL);
                if is_recent && *repetitions < MAX_REPETITIONS {
                    *repetitions += 1;
                    return true;
                }
                (*at, *repetitions) = (now, 0);
                false
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::{CredentialKind, keys};

    #[test]
    fn same_guess_for_same_name_counts_once_in_ten_minutes() {
        let guesses = RepeatedGuesses::new();
        let [alice, bob] = ["alice", "bob"].map(|name| keys::name(CredentialKind::Password, name));
        let at = |seconds: i64| Timestamp::from_millis(1_000_000 + seconds * 1000);
        assert!(!guesses.is_repeated(alice, "old", at(0)));
        assert!(guesses.is_repeated(alice, "old", at(599)));
        assert!(!guesses.is_repeated(alice, "other", at(599)));
        assert!(!guesses.is_repeated(bob, "old", at(599)));
        assert!(!guesses.is_repeated(alice, "old", at(600)));
        assert!(guesses.is_repeated(alice, "old", at(601)));
    }

    #[test]
    fn flood_of_one_guess_counts_every_hundredth_repetition() {
        let guesses = RepeatedGuesses::new();
        let alice = keys::name(CredentialKind::Password, "alice");
        let now = Timestamp::from_millis(1_000_000);
        let counted = (0..1010).filter(|_| !guesses.is_repeated(alice, "old", now)).count();
        assert_eq!(counted, 10);
    }
}
