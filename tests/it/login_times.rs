//! How long a failed login takes does not tell whether there is such a user, whatever hash the user has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel::admin::{ImportedUser, NewUser};
use sentinel::app::password_policy;
use sentinel::domain::PasswordHash;
use sentinel::password::Hasher;

use crate::helpers::{App, AppBuilder, PASSWORD, spawn_app};

/// Of a cost at which it takes some hundred times as long as the hashes of these servers.
const IMPORTED: &str = "$2b$11$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu";

async fn import(app: &App, username: &str, enabled: bool) {
    let password = PasswordHash::imported(IMPORTED.to_owned());
    let user = NewUser { username: username.to_owned(), password, scopes: None, enabled };
    app.admin.add_user(user).await.unwrap();
}

/// What verifying such a hash takes when not much else runs.
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

fn unslowed() -> AppBuilder {
    AppBuilder::default().set("throttle.enabled", "false")
}

#[tokio::test]
async fn where_hashes_were_imported_all_failures_take_as_long_from_the_first_one_on() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let before = unslowed().on(&folder).spawn().await;
    import(&before, "imported", true).await;
    import(&before, "disabled", false).await;
    let price = price(&before);
    before.stop().await;

    let app = unslowed().on(&folder).spawn().await;
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
    // Half, since other things may have been running then.
    assert!(times.iter().all(|times| times[0] >= price / 2), "{price:?} {times:?}");
    let medians = times.map(|times| times[3]);
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*most < *least * 2, "{medians:?}");
    // Who knows the password does not wait.
    let mut logins = Vec::new();
    for _ in 0..7 {
        let started = Instant::now();
        assert_eq!(app.login_as("alice", PASSWORD, &[]).await.status, 200);
        logins.push(started.elapsed());
    }
    assert!(logins.iter().min().unwrap() < &price, "{price:?} {logins:?}");
}

/// As Django writes for users who have no password: no two are the same.
#[tokio::test]
async fn hashes_that_cannot_be_verified_hide_no_kind_however_many_there_are() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let before = unslowed().on(&folder).spawn().await;
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
    let app = unslowed().on(&folder).spawn().await;
    assert!(failure(&app, "nobody").await >= price / 2);
}

#[tokio::test]
async fn a_user_who_is_imported_later_shows_once_at_most() {
    let app = unslowed().spawn().await;
    import(&app, "imported", true).await;
    let price = price(&app);
    failure(&app, "imported").await;
    assert!(failure(&app, "nobody").await >= price / 2);
}

#[tokio::test]
async fn where_all_hashes_are_current_failures_are_as_quick_as_ever() {
    let app = spawn_app().await;
    let price = price(&app);
    let mut times = Vec::new();
    for number in 0..10 {
        times.push(failure(&app, ["alice", "nobody"][number % 2]).await);
    }
    assert!(times.iter().min().unwrap() < &price, "{price:?} {times:?}");
}
