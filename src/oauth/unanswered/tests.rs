//! Tests of the entries for failed refreshes.

use super::*;
use crate::domain::{Selector, TokenKind, UsedRefresh, Verifier};

fn made_up() -> Token {
    let (selector, verifier) = (Selector::generate(), Verifier::generate());
    Token { kind: TokenKind::Refresh, selector, verifier }
}

/// Returns the entry of a refresh that failed at `at`, with one use for each salt.
fn kept(token: &Token, at: i64, salts: &[u8]) -> Kept {
    let (digest, at) = (token.verifier.digest(), Timestamp::from_millis(at));
    let uses = salts.iter().map(|salt| UsedRefresh { digest, salt: [*salt; 32], at }).collect();
    let refresh = UnansweredRefresh { digest, presented_at: at, failed_at: at, uses };
    Kept { refresh, in_flight: !salts.is_empty() }
}

#[test]
fn unverified_entries_do_not_displace_verified_ones() {
    let mut waiting = Waiting::default();
    for _ in 0..REMEMBERED + 10 {
        let token = made_up();
        waiting.keep(key(&token), kept(&token, 1, &[]));
    }
    assert_eq!((waiting.unseen.len(), waiting.good.len()), (REMEMBERED, 0));
    let token = made_up();
    waiting.keep(key(&token), kept(&token, 1, &[1]));
    assert!(waiting.get(&key(&token)).is_some_and(|kept| kept.in_flight));
    // An entry for a forged token of the same session does not displace it either.
    let forged = Token { verifier: Verifier::generate(), ..token.clone() };
    waiting.keep(key(&forged), kept(&forged, 2, &[]));
    assert!(waiting.get(&key(&token)).is_some_and(|kept| kept.in_flight));
    // Entries of verified tokens come first.
    assert!(waiting.all().first().is_some_and(|(first, _)| *first == key(&token)));
}

#[test]
fn repeated_failure_keeps_first_time_and_all_uses_of_token() {
    let (mut waiting, token) = (Waiting::default(), made_up());
    waiting.keep(key(&token), kept(&token, 1, &[]));
    assert_eq!((waiting.unseen.len(), waiting.good.len()), (1, 0));
    let first = kept(&token, 1, &[]);
    waiting.keep(key(&token), kept(&token, 2, &[7]));
    // The entry has changed since `first` was copied, so it stays.
    waiting.told(&key(&token), &first);
    waiting.keep(key(&token), kept(&token, 2, &[7, 8]));
    waiting.keep(key(&token), kept(&token, 3, &[]));
    assert_eq!((waiting.unseen.len(), waiting.good.len()), (0, 1));
    let all = waiting.get(&key(&token)).cloned().unwrap();
    assert_eq!(all.refresh.presented_at, Timestamp::from_millis(1));
    let salts: Vec<_> = all.refresh.uses.iter().map(|used| used.salt[0]).collect();
    assert_eq!((salts, all.in_flight), (vec![7, 8], true));
    waiting.told(&key(&token), &all);
    assert!(waiting.get(&key(&token)).is_none());
}

#[test]
fn excess_uses_of_token_drop_oldest_ones() {
    let (mut waiting, token) = (Waiting::default(), made_up());
    for salt in 0..100 {
        waiting.keep(key(&token), kept(&token, 1, &[salt]));
    }
    let uses = &waiting.get(&key(&token)).unwrap().refresh.uses;
    assert_eq!((uses.len(), uses.last().unwrap().salt), (USES, [99; 32]));
}
