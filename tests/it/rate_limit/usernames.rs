//! A username under attack.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{assert_refused, attack, behind_a_proxy, login, right, rotating, stop, strict};
use sentinel::domain::Clock;

use crate::helpers::{PASSWORD, TestResponse, all};

/// Seconds, more than the longest pause.
const LATER: u64 = 5;

#[tokio::test]
async fn correct_password_from_clean_address_succeeds_after_attack() {
    let app = strict().spawn().await;
    attack(&app, "alice").await;
    assert_eq!(right(&app, "192.0.2.1").await.status, 200);
    // Logins with other names are not delayed.
    login(&app, "192.0.2.1", "nobody", "wrong").await.assert_error(400, "invalid_grant");
}

/// The attackers continue from refused addresses and from new ones, many at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn correct_password_succeeds_during_ongoing_attack() {
    let app = Arc::new(strict().spawn().await);
    attack(&app, "alice").await;
    let attackers: Vec<_> = (0..12)
        .map(|number| {
            let app = Arc::clone(&app);
            tokio::spawn(async move {
                loop {
                    let guess = format!("guess-{number}-{}", app.clock.now().as_millis());
                    login(&app, &format!("198.51.100.{}", number % 3), "alice", &guess).await;
                    app.advance(1);
                }
            })
        })
        .collect();
    for number in 1..4 {
        let started = Instant::now();
        let answer = right(&app, &format!("192.0.2.{number}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(started.elapsed() < Duration::from_secs(15));
    }
    stop(&attackers);
}

/// Each guess comes from another address of one network, and one of them is always waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attack_from_one_network_does_not_lock_out_other_networks() {
    let app = Arc::new(strict().spawn().await);
    attack(&app, "alice").await;
    let attackers = rotating(&app, 5);
    for from in ["203.0.113.7", "2001:db8:1::1"] {
        let answer = right(&app, from).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    stop(&attackers);
}

#[tokio::test]
async fn known_device_logs_in_without_waiting() {
    let app = strict().spawn().await;
    let (home, elsewhere) = ("192.0.2.1", "192.0.2.2");
    assert_eq!(right(&app, home).await.status, 200);
    app.advance(20 * 24 * 3600);
    attack(&app, "alice").await;
    // More logins than may wait.
    let from_home = all((0..20).map(|_| right(&app, home))).await;
    assert!(from_home.iter().all(|answer| answer.status == 200));
    // A known device needs the correct password, too.
    login(&app, home, "alice", "wrong").await.assert_error(400, "invalid_grant");
    let strangers =
        (0..12).map(|number| login(&app, elsewhere, "alice", &format!("guess-{number}")));
    assert!(all(strangers).await.iter().any(|answer| answer.status == 429));
    assert_eq!(right(&app, home).await.status, 200);
}

#[tokio::test]
async fn delay_for_name_under_attack_grows_with_failures() {
    let app = strict().spawn().await;
    attack(&app, "alice").await;
    let mut waits = Vec::new();
    for number in 0..3 {
        app.advance(LATER);
        let guess = format!("guess-{number}");
        login(&app, &format!("203.0.113.{number}"), "alice", &guess).await;
        // Measures the pause after that failure.
        let started = Instant::now();
        let guess = format!("another-{number}");
        let answer = login(&app, &format!("192.0.2.{number}"), "alice", &guess).await;
        answer.assert_error(400, "invalid_grant");
        waits.push(started.elapsed().as_millis());
    }
    let [first, second, third] = waits[..] else { panic!("{waits:?}") };
    assert!(first >= 250 && second >= 1000 && third >= 4000, "{waits:?}");
}

/// The responses and the delays are the same.
#[tokio::test]
async fn unknown_and_known_usernames_are_rate_limited_alike() {
    let app = strict().spawn().await;
    let mut seen = Vec::new();
    for name in ["alice", "nobody"] {
        attack(&app, name).await;
        let started = Instant::now();
        let calls = (0..20).map(|number| {
            login(&app, &format!("203.0.113.{number}"), name, &format!("guess-{number}"))
        });
        let answers: BTreeSet<(u16, String)> =
            all(calls).await.into_iter().map(|answer| (answer.status, answer.text)).collect();
        // At least three attempts are verified: the first, and those that waited.
        assert!(started.elapsed() >= Duration::from_millis(750), "{:?}", started.elapsed());
        let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [400, 429]);
        seen.push(answers);
        app.advance(300);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn disabled_user_is_rate_limited_like_others() {
    let app = strict().spawn().await;
    app.disable_user().await;
    for number in 0..6 {
        // The right password counts once, like a wrong one.
        let names = ["alice", "alice", "nobody", "anybody", "somebody", "everybody"];
        let answer = login(&app, "192.0.2.1", names[number], PASSWORD).await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_refused(&login(&app, "192.0.2.1", "alice", PASSWORD).await);
}

#[tokio::test]
async fn attack_ends_when_its_failures_leave_the_window() {
    let app = strict().spawn().await;
    attack(&app, "alice").await;
    app.advance(300);
    let logins = (0..20).map(|number| right(&app, &format!("192.0.2.{number}")));
    assert!(all(logins).await.iter().all(|answer| answer.status == 200));
}

/// With this many hashing threads, all guesses would be verified in parallel otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_guesses_at_one_name_are_serialized() {
    let app = behind_a_proxy().set("password.workers", "8").spawn().await;
    let guesses = (0..60).map(|number| {
        login(&app, &format!("203.0.113.{number}"), "alice", &format!("guess-{number}"))
    });
    let answers: Vec<TestResponse> = all(guesses).await;
    let verified = answers.iter().filter(|answer| answer.status == 400).count();
    // Ten guesses until the name is under attack, then one after each pause: 0, 0.25, 0.75, 1.75,
    // 3.75, 7.75, ...
    assert!((11..=20).contains(&verified), "{verified}");
    assert!(answers.iter().all(|answer| [400, 429].contains(&answer.status)));
    assert!(verified + answers.iter().filter(|answer| answer.status == 429).count() == 60);
}

#[tokio::test]
async fn concurrent_successful_logins_of_one_user_are_not_limited() {
    let app = strict().spawn().await;
    let answers = all((0..60).map(|number| right(&app, &format!("192.0.2.{}", number % 7)))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn spellings_of_a_name_are_under_attack_together() {
    let app = strict().spawn().await;
    attack(&app, "ALICE ").await;
    login(&app, "203.0.113.1", "alice", "wrong").await.assert_error(400, "invalid_grant");
    // Measures the pause after that failure.
    let started = Instant::now();
    login(&app, "203.0.113.2", "Alice", "wrong").await.assert_error(400, "invalid_grant");
    assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
}
