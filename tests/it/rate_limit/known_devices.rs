//! Known devices at an address whose budget is spent.

use std::time::{Duration, Instant};

use super::{assert_refused, login, right, spend, strict};
use crate::helpers::{App, PASSWORD, all};

const OFFICE: &str = "192.0.2.1";

#[tokio::test]
async fn known_device_is_not_refused_because_of_other_failures_at_its_address() {
    let app = strict().spawn().await;
    app.run_with(PASSWORD, &["user", "add", "bob", "--password-stdin"]).await;
    assert_eq!(right(&app, OFFICE).await.status, 200);
    spend(&app, OFFICE).await;
    // More logins than may run at once.
    let answers = all((0..20).map(|_| right(&app, OFFICE))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_refused(&login(&app, OFFICE, "bob", PASSWORD).await);
    // A device of one user is not one of another, and not known at another address.
    spend(&app, "192.0.2.2").await;
    assert_refused(&right(&app, "192.0.2.2").await);
    app.advance(29 * 24 * 3600);
    spend(&app, OFFICE).await;
    assert_eq!(right(&app, OFFICE).await.status, 200);
}

#[tokio::test]
async fn device_without_login_in_30_days_is_unknown() {
    let app = strict().spawn().await;
    assert_eq!(right(&app, OFFICE).await.status, 200);
    app.advance(30 * 24 * 3600);
    spend(&app, OFFICE).await;
    assert_refused(&right(&app, OFFICE).await);
}

/// An attacker in the office has as many guesses at a user there as at any name.
#[tokio::test]
async fn failures_of_known_device_itself_are_limited() {
    let app = strict().spawn().await;
    assert_eq!(right(&app, OFFICE).await.status, 200);
    spend(&app, OFFICE).await;
    for number in 0..3 {
        let guess = format!("guess-{number}");
        login(&app, OFFICE, "alice", &guess).await.assert_error(400, "invalid_grant");
    }
    assert_refused(&login(&app, OFFICE, "alice", "another guess").await);
    assert_refused(&right(&app, OFFICE).await);
    app.advance(300);
    assert_eq!(right(&app, OFFICE).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_guesses_of_known_device_share_its_budget() {
    let app = strict().spawn().await;
    assert_eq!(right(&app, OFFICE).await.status, 200);
    spend(&app, OFFICE).await;
    let guesses = (0..40).map(|number| login(&app, OFFICE, "alice", &format!("guess-{number}")));
    let answers = all(guesses).await;
    let verified = answers.iter().filter(|answer| answer.status == 400).count();
    assert_eq!(verified, 3, "{answers:?}");
}

#[tokio::test]
async fn known_devices_outlive_a_restart_without_redis() {
    let app = strict().spawn().await;
    assert_eq!(right(&app, OFFICE).await.status, 200);
    let folder = std::sync::Arc::clone(&app.folder);
    app.stop().await;
    let app = strict().on(&folder).spawn().await;
    spend(&app, OFFICE).await;
    assert_eq!(right(&app, OFFICE).await.status, 200);
}

#[tokio::test]
async fn eleventh_device_of_a_user_displaces_the_one_used_longest_ago() {
    let app = strict().spawn().await;
    for number in 1..=11 {
        assert_eq!(right(&app, &format!("192.0.{number}.1")).await.status, 200);
        app.advance(1);
    }
    let folder = std::sync::Arc::clone(&app.folder);
    app.stop().await;
    let app = strict().on(&folder).spawn().await;
    for (number, status) in [(1, 429), (2, 200), (11, 200)] {
        let from = format!("192.0.{number}.1");
        spend(&app, &from).await;
        assert_eq!(right(&app, &from).await.status, status, "{from}");
    }
}

/// Sends wrong passwords until they are refused because the server has forgotten the device. A
/// right one would make the device known again.
async fn until_refused(app: &App, username: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    for number in 0.. {
        if login(app, OFFICE, username, &format!("guess-{number}")).await.status == 429 {
            return;
        }
        assert!(Instant::now() < deadline, "{username} is still known");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_password_forgets_the_known_devices_of_its_user() {
    let app = strict().set("throttle.failures_per_user", "1000").spawn().await;
    assert_eq!(right(&app, OFFICE).await.status, 200);
    spend(&app, OFFICE).await;
    app.run_with("the new password", &["user", "passwd", "alice", "--password-stdin"]).await;
    until_refused(&app, "alice").await;
    assert_refused(&login(&app, OFFICE, "alice", "the new password").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renamed_or_deleted_user_leaves_no_known_devices_to_a_new_user_of_the_name() {
    let app = strict().set("throttle.failures_per_user", "1000").spawn().await;
    let add = async || {
        app.run_with(PASSWORD, &["user", "add", "bob", "--password-stdin"]).await;
    };
    add().await;
    for command in [&["user", "edit", "bob", "--rename", "carol"][..], &["user", "delete", "bob"]] {
        assert_eq!(login(&app, OFFICE, "bob", PASSWORD).await.status, 200);
        spend(&app, OFFICE).await;
        app.run(command).await;
        add().await;
        until_refused(&app, "bob").await;
        app.advance(600);
    }
}
