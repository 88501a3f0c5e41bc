//! Tests of the selection among waiting attempts.

use std::net::IpAddr;

use super::super::{CredentialKind, keys};
use super::*;

/// Returns the candidate for an attempt from this address with these failures and refusals.
fn attempt(address: &str, failures: u32, network_failures: u32, refusals: u32) -> Candidate {
    let address: IpAddr = address.parse().unwrap();
    let alice = keys::name(CredentialKind::Password, "alice");
    let origin = Origin::new(CredentialKind::Password, address, alice);
    Candidate::new(Some(origin), Penalty { failures, network_failures, refusals })
}

/// Returns how often each waiting attempt is selected in 1000 draws.
fn times_selected(waiting: &[Candidate], rule: Rule) -> Vec<usize> {
    let mut times = vec![0; waiting.len()];
    (0..1000).for_each(|_| times[select_next(waiting, rule).unwrap()] += 1);
    times
}

#[test]
fn clean_network_precedes_new_address_in_network_with_failures() {
    let waiting = [attempt("2001:db8:1:1::1", 0, 9, 0), attempt("192.0.2.1", 0, 0, 9)];
    assert_eq!(times_selected(&waiting, Rule::LowestPenalty), [0, 1000]);
    assert_eq!(times_selected(&waiting, Rule::Random), [0, 1000]);
}

#[test]
fn clean_address_precedes_failed_address_in_same_network() {
    for rule in [Rule::LowestPenalty, Rule::Random] {
        let waiting = [attempt("127.0.0.2", 9, 9, 0), attempt("127.0.0.3", 0, 9, 0)];
        assert_eq!(times_selected(&waiting, rule), [0, 1000]);
        let waiting = [attempt("2001:db8:1:1::1", 9, 9, 0), attempt("2001:db8:1:2::1", 0, 9, 0)];
        assert_eq!(times_selected(&waiting, rule), [0, 1000]);
    }
}

#[test]
fn random_rule_ignores_refusals_and_single_failure() {
    let waiting = [
        attempt("198.51.100.1", 0, 0, 0),
        attempt("203.0.113.1", 0, 0, 0),
        attempt("192.0.2.1", 1, 1, 20),
    ];
    assert_eq!(times_selected(&waiting, Rule::LowestPenalty)[2], 0);
    let times = times_selected(&waiting, Rule::Random);
    assert!(times.iter().all(|times| (200..500).contains(times)), "{times:?}");
}

#[test]
fn attempts_from_one_network_or_address_share_one_chance() {
    let mut waiting = vec![attempt("192.0.2.1", 0, 0, 0)];
    waiting.extend((0..100).map(|number| attempt(&format!("2001:db8:1:{number:x}::1"), 0, 0, 0)));
    let times = times_selected(&waiting, Rule::LowestPenalty);
    assert!((350..650).contains(&times[0]), "{times:?}");
    let mut waiting = vec![attempt("127.0.0.3", 0, 5, 0)];
    waiting.extend((0..20).map(|_| attempt("127.0.0.2", 0, 5, 0)));
    let times = times_selected(&waiting, Rule::LowestPenalty);
    assert!((350..650).contains(&times[0]), "{times:?}");
}

#[test]
fn full_queue_drops_worst_attempt_then_one_of_largest_network() {
    let clean = attempt("192.0.2.1", 0, 0, 0);
    let crowded = |number| attempt(&format!("2001:db8:1:{number:x}::1"), 0, 0, 0);
    assert_eq!(
        select_dropped(&[clean, attempt("203.0.113.1", 0, 0, 1), attempt("203.0.114.1", 0, 0, 0)]),
        Some(1)
    );
    assert_ne!(select_dropped(&[clean, crowded(1), crowded(2)]), Some(0));
    assert_eq!(select_dropped(&[]), None);
}

/// Checks that the first arrival is as likely to stay as the last.
#[test]
fn full_queue_drops_random_attempt_among_equals() {
    let mut left = [0; 10];
    for _ in 0..1000 {
        let mut waiting: Vec<(u8, Candidate)> = Vec::new();
        for number in 0..10 {
            waiting.push((number, attempt(&format!("192.0.{number}.1"), 0, 0, 0)));
            if waiting.len() > 2 {
                let candidates: Vec<Candidate> = waiting.iter().map(|(_, one)| *one).collect();
                waiting.remove(select_dropped(&candidates).unwrap());
            }
        }
        waiting.iter().for_each(|(number, _)| left[usize::from(*number)] += 1);
    }
    assert!(left.iter().all(|times| (120..280).contains(times)), "{left:?}");
}
