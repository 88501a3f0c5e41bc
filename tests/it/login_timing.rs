//! Tests that the duration of a failed login does not reveal whether the user exists, whatever the
//! kind of password hash.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel::admin::{ImportedUser, NewUser};
use sentinel::app::password_policy;
use sentinel::domain::PasswordHash;
use sentinel::password::Hasher;

use crate::helpers::{App, AppBuilder, PASSWORD, spawn_app};

/// A bcrypt hash that takes some hundred times as long to verify as the hashes of the test servers.
const IMPORTED: &str = "$2b$11$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu";

async fn import(app: &App, username: &str, enabled: bool) {
    let password = PasswordHash::imported(IMPORTED.to_owned());
    let user = NewUser { username: username.to_owned(), password, scopes: None, enabled };
    app.admin.add_user(user).await.unwrap();
}

/// Returns the time that verifying the imported hash takes: the minimum of three measurements.
fn price(app: &App) -> Duration {
    let mut hasher = Hasher::new(password_policy(&app.settings.password)).unwrap();
    let hash = PasswordHash::imported(IMPORTED.to_owned());
    let mut once = || {
        let started = Instant::now();
        assert!(!hasher.verify(&"wrong".into(), &hash).unwrap());
        started.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap()
}

async fn failure(app: &App, username: &str) -> Duration {
    let started = Instant::now();
    app.login_as(username, "wrong", &[]).await.assert_error(400, "invalid_grant");
    started.elapsed()
}

fn app_without_rate_limits() -> AppBuilder {
    AppBuilder::default().set("throttle.enabled", "false")
}

#[tokio::test]
async fn failed_logins_take_equally_long_when_hashes_were_imported() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let before = app_without_rate_limits().on(&folder).spawn().await;
    import(&before, "imported", true).await;
    import(&before, "disabled", false).await;
    let price = price(&before);
    before.stop().await;

    let app = app_without_rate_limits().on(&folder).spawn().await;
    let names = ["nobody", "imported", "disabled", "alice"];
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..7 {
        for (name, times) in names.iter().zip(&mut times) {
            times.push(failure(&app, name).await);
        }
    }
    for times in &mut times {
        times.sort_unstable();
    }
    // Half of the measured time, since other work may have slowed the measurement down.
    assert!(times.iter().all(|times| times[0] >= price / 2), "{price:?} {times:?}");
    let medians = times.map(|times| times[3]);
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*most < *least * 2, "{medians:?}");
    // A successful login is not delayed.
    let mut logins = Vec::new();
    for _ in 0..7 {
        let started = Instant::now();
        assert_eq!(app.login_as("alice", PASSWORD, &[]).await.status, 200);
        logins.push(started.elapsed());
    }
    assert!(logins.iter().min().unwrap() < &price, "{price:?} {logins:?}");
}

/// Covers the unusable hashes that Django stores for users without a password, all different.
#[tokio::test]
async fn many_unusable_hashes_do_not_hide_slow_hash_from_equalizer() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let before = app_without_rate_limits().on(&folder).spawn().await;
    for lot in 0..5 {
        let users = (0..500).map(|number| ImportedUser {
            id: None,
            user: NewUser {
                username: format!("unusable-{lot}-{number}"),
                password: PasswordHash::imported(format!("!{lot}-{number}")),
                scopes: None,
                enabled: true,
            },
        });
        before.admin.import_users(users.collect()).await.unwrap();
    }
    import(&before, "imported", true).await;
    let price = price(&before);
    before.stop().await;
    let app = app_without_rate_limits().on(&folder).spawn().await;
    assert!(failure(&app, "nobody").await >= price / 2);
}

#[tokio::test]
async fn imported_hash_raises_delay_after_first_failed_login() {
    let app = app_without_rate_limits().spawn().await;
    import(&app, "imported", true).await;
    let price = price(&app);
    failure(&app, "imported").await;
    assert!(failure(&app, "nobody").await >= price / 2);
}

#[tokio::test]
async fn failed_logins_are_not_delayed_when_all_hashes_are_current() {
    let app = spawn_app().await;
    let price = price(&app);
    let mut times = Vec::new();
    for number in 0..10 {
        times.push(failure(&app, ["alice", "nobody"][number % 2]).await);
    }
    assert!(times.iter().min().unwrap() < &price, "{price:?} {times:?}");
}
