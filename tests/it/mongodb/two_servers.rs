//! Two servers on one database, as behind a load balancer.

use std::sync::Arc;

use sentinel::admin::UserChange;
use sentinel::store::{Page, SessionFilter};

use crate::helpers::{App, AppBuilder, TestResponse, all, mongod};

async fn start_two_servers() -> (App, App) {
    let target = mongod::replica_set().await;
    // Without rate limiting: failed logins of a disabled user would count as guesses.
    let server = || AppBuilder::default().mongodb(&target).set("throttle.enabled", "false");
    let one = server().spawn().await;
    let mut other = server().spawn().await;
    // Both servers have the same clients.
    other.client = one.client.clone();
    (one, other)
}

#[tokio::test]
async fn session_is_valid_on_both_servers_until_it_ends() {
    let (one, other) = start_two_servers().await;
    let first = one.login().await;
    assert!(other.is_active(&first.access_token()).await);
    assert_eq!(other.verify(&first.access_token(), "").await.status, 200);

    let second = other.refresh(&first.refresh_token()).await;
    assert_eq!(second.status, 200, "{second:?}");
    // The response was lost, and the retry reaches the other server.
    let again = one.refresh(&first.refresh_token()).await;
    assert_eq!(again.json(), second.json());

    assert_eq!(one.revoke(&second.access_token()).await.status, 200);
    assert!(!other.is_active(&second.access_token()).await);
    let third = one.refresh(&second.refresh_token()).await;
    // Reuse of a refresh token ends the session on both servers.
    other.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
    for app in [&one, &other] {
        assert!(!app.is_active(&third.access_token()).await);
        assert_eq!(app.verify(&third.access_token(), "").await.status, 401);
    }

    let login = other.login().await;
    assert_eq!(one.revoke(&login.refresh_token()).await.status, 200);
    assert!(!other.is_active(&login.access_token()).await);
}

#[tokio::test]
async fn operator_change_applies_on_other_server_immediately() {
    let (one, other) = start_two_servers().await;
    let login = other.login().await;
    one.rename_user("alicia").await;
    let json = other.introspect(&login.access_token()).await.json();
    assert_eq!(json["username"], "alicia");
    one.rename_user("alice").await;

    one.disable_user().await;
    assert!(!other.is_active(&login.access_token()).await);
    other.refresh(&login.refresh_token()).await.assert_error(400, "invalid_grant");
    other.login_with(&[]).await.assert_error(400, "invalid_grant");
    one.enable_user().await;

    let login = other.login().await;
    one.disable_client().await;
    assert!(!other.is_active(&login.access_token()).await);
    other.login_with(&[]).await.assert_error(401, "invalid_client");
    one.enable_client().await;

    let login = other.login().await;
    one.delete_user().await;
    assert!(!other.is_active(&login.access_token()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_parallel_refreshes_on_two_servers_return_one_pair() {
    let (one, other) = start_two_servers().await;
    let first = one.login().await;
    let token = first.refresh_token();
    let calls =
        (0..50).map(|turn| if turn % 2 == 0 { one.refresh(&token) } else { other.refresh(&token) });
    let answers = all(calls).await;
    let pair = |answer: &TestResponse| (answer.access_token(), answer.refresh_token());
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(pair(answer), pair(&answers[0]));
    }
    assert!(one.is_active(&answers[0].access_token()).await);
    assert_eq!(other.refresh(&answers[0].refresh_token()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn login_racing_with_disabling_of_user_does_not_survive() {
    let (one, other) = start_two_servers().await;
    let (one, other) = (Arc::new(one), Arc::new(other));
    let mut answered = 0;
    // The delay grows until a login has succeeded before the user was disabled.
    for round in 0..200 {
        if round >= 12 && answered > 0 {
            break;
        }
        let logins = (0..8).map(|turn| {
            let app = Arc::clone(if turn % 2 == 0 { &one } else { &other });
            async move { app.login_with(&[]).await }
        });
        let logins = tokio::spawn(all(logins.collect::<Vec<_>>()));
        tokio::time::sleep(std::time::Duration::from_millis(round)).await;
        let disable = UserChange { enabled: Some(false), ..UserChange::default() };
        let ending = if round % 2 == 0 { &other } else { &one };
        ending.admin.edit_user(one.user.id, &disable).await.unwrap();
        for answer in logins.await.unwrap() {
            if answer.status == 200 {
                answered += 1;
                assert!(!one.is_active(&answer.access_token()).await, "round {round}");
                assert!(!other.is_active(&answer.access_token()).await, "round {round}");
            }
        }
        let filter = SessionFilter { user: Some(one.user.id), client: None, alive_at: None };
        assert_eq!(one.admin.sessions(&filter, &Page::first(10)).await.unwrap().items, []);
        one.enable_user().await;
    }
    assert!(answered > 0, "no login succeeded before the user was disabled");
}
