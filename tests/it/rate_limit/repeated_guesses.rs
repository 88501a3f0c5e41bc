//! A device that repeats one wrong password, such as a phone with an old one.

use super::{assert_refused, login, right, strict};

const OFFICE: &str = "192.0.2.1";

#[tokio::test]
async fn repeated_wrong_password_of_one_user_does_not_lock_out_its_address() {
    let app = strict().spawn().await;
    for _ in 0..30 {
        login(&app, OFFICE, "alice", "old").await.assert_error(400, "invalid_grant");
        app.advance(15);
    }
    assert_eq!(right(&app, OFFICE).await.status, 200);
    assert_eq!(right(&app, "198.51.100.1").await.status, 200);
}

#[tokio::test]
async fn different_wrong_passwords_count_each() {
    let app = strict().set("throttle.failures_per_user", "100").spawn().await;
    for number in 0..5 {
        let guess = format!("guess-{number}");
        for _ in 0..if number < 4 { 3 } else { 1 } {
            login(&app, OFFICE, "alice", &guess).await.assert_error(400, "invalid_grant");
        }
    }
    assert_refused(&right(&app, OFFICE).await);
}

#[tokio::test]
async fn one_wrong_password_for_many_users_counts_for_each() {
    let app = strict().spawn().await;
    for number in 0..5 {
        let answer = login(&app, OFFICE, &format!("nobody-{number}"), "Password1").await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_refused(&login(&app, OFFICE, "nobody-0", "Password1").await);
}

#[tokio::test]
async fn former_wrong_password_is_accepted_once_it_is_set() {
    let app = strict().spawn().await;
    for _ in 0..10 {
        login(&app, OFFICE, "alice", "the new password").await.assert_error(400, "invalid_grant");
    }
    app.run_with("the new password", &["user", "passwd", "alice", "--password-stdin"]).await;
    assert_eq!(login(&app, OFFICE, "alice", "the new password").await.status, 200);
}

/// Each repetition costs a hash, so a flood spends the budget in the end.
#[tokio::test]
async fn flood_with_one_wrong_password_is_refused() {
    let app = strict().set("throttle.failures_per_user", "1000").spawn().await;
    let mut verified = 0;
    while login(&app, OFFICE, "alice", "old").await.status == 400 {
        verified += 1;
        assert!(verified < 1000);
    }
    assert!(verified > 100, "{verified}");
    // The first one, the free repetitions of the address, and the rest of the budget.
    assert!(verified <= 205, "{verified}");
}

/// Otherwise an attacker would see by it which password a device elsewhere repeats.
#[tokio::test]
async fn wrong_password_that_another_address_repeats_counts() {
    let app = strict().set("throttle.failures_per_user", "100").spawn().await;
    let guesses: Vec<String> = (0..5).map(|number| format!("guess-{number}")).collect();
    for guess in &guesses {
        login(&app, "198.51.100.1", "alice", guess).await.assert_error(400, "invalid_grant");
    }
    for guess in &guesses {
        login(&app, OFFICE, "alice", guess).await.assert_error(400, "invalid_grant");
    }
    assert_refused(&login(&app, OFFICE, "alice", "another").await);
}
