//! The budget of an address.

use super::{assert_refused, behind_a_proxy, login, right, spend, strict};
use crate::helpers::{AppBuilder, PASSWORD, all, send, spawn_app};

const HERE: &str = "192.0.2.1";

#[tokio::test]
async fn an_address_that_has_failed_twenty_times_in_five_minutes_is_told_to_come_back() {
    let app = behind_a_proxy().spawn().await;
    spend(&app, HERE).await;
    // The right password is not looked at.
    let seconds = assert_refused(&right(&app, HERE).await);
    assert_eq!(seconds, 300);
    app.advance(seconds - 1);
    assert_eq!(assert_refused(&right(&app, HERE).await), 1);
    app.advance(1);
    assert_eq!(right(&app, HERE).await.status, 200);
}

#[tokio::test]
async fn other_addresses_are_not_slowed() {
    let app = strict().spawn().await;
    spend(&app, HERE).await;
    assert_refused(&right(&app, HERE).await);
    assert_eq!(right(&app, "192.0.2.2").await.status, 200);
    login(&app, "192.0.2.2", "alice", "wrong").await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn of_ipv6_the_first_64_bits_count() {
    let app = strict().spawn().await;
    for number in 0..5 {
        let from = format!("2001:db8:0:1::{number}");
        let name = format!("nobody-{number}");
        login(&app, &from, &name, "wrong").await.assert_error(400, "invalid_grant");
    }
    assert_refused(&right(&app, "2001:db8:0:1:ffff::1").await);
    assert_eq!(right(&app, "2001:db8:0:2::1").await.status, 200);
    // IPv4 in disguise is IPv4, and counts as a whole.
    spend(&app, HERE).await;
    assert_refused(&right(&app, "::ffff:192.0.2.1").await);
    assert_eq!(right(&app, "::ffff:192.0.2.2").await.status, 200);
}

#[tokio::test]
async fn what_a_client_writes_into_forwarded_headers_changes_nothing() {
    // Nobody is trusted: the header counts for nothing, from anybody.
    let app = spawn_app().await;
    for number in 0..20 {
        let from = format!("192.0.2.{number}");
        let answer = login(&app, &from, &format!("nobody-{number}"), "wrong").await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_refused(&right(&app, "203.0.113.9").await);

    // The proxy is trusted, and puts the address that it sees behind what it is sent.
    let app = strict().spawn().await;
    for number in 0..5 {
        let from = format!("203.0.113.{number}, {HERE}");
        let answer = login(&app, &from, &format!("nobody-{number}"), "wrong").await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_refused(&right(&app, &format!("203.0.113.9, {HERE}")).await);
    // Nor does it make anybody else pay.
    assert_eq!(right(&app, "203.0.113.1").await.status, 200);
    for header in ["forwarded", "x-real-ip", "client-ip", "x-client-ip"] {
        let form = [
            ("grant_type", "password"),
            ("client_id", app.client.id.as_str()),
            ("username", "alice"),
            ("password", PASSWORD),
        ];
        let request = app.request("POST", "/oauth/token").header("x-forwarded-for", HERE);
        let answer = send(request.header(header, "203.0.113.9").form(&form)).await;
        assert_refused(&answer);
    }
}

#[tokio::test]
async fn a_success_gives_nothing_back() {
    let app = strict().spawn().await;
    for number in 0..5 {
        assert_eq!(right(&app, HERE).await.status, 200);
        let answer = login(&app, HERE, &format!("nobody-{number}"), "wrong").await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_refused(&right(&app, HERE).await);
}

#[tokio::test]
async fn successes_cost_nothing() {
    let app = strict().spawn().await;
    let answers = all((0..40).map(|_| right(&app, HERE))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

/// What is sent at once is not counted before it is known to fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_that_come_all_at_once_find_the_same_budget() {
    let app = behind_a_proxy().spawn().await;
    let guesses = (0..120).map(|number| login(&app, HERE, &format!("nobody-{number}"), "wrong"));
    let answers = all(guesses).await;
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(400), with(429)), (20, 100));
}

#[tokio::test]
async fn what_needs_no_guess_goes_on_from_a_refused_address() {
    let app = strict().spawn().await;
    let tokens = right(&app, HERE).await;
    spend(&app, HERE).await;
    assert_refused(&right(&app, HERE).await);
    let (id, refresh) = (app.client.id.as_str(), tokens.refresh_token());
    let from_here = |path: &str, form: &[(&str, &str)]| {
        send(app.request("POST", path).header("x-forwarded-for", HERE).form(form))
    };
    let form = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", &refresh)];
    let next = from_here("/oauth/token", &form).await;
    assert_eq!(next.status, 200);
    let verify = app.request("GET", "/oauth/verify").header("x-forwarded-for", HERE);
    assert_eq!(send(verify.bearer_auth(next.access_token())).await.status, 204);
    let form = [("client_id", id), ("token", &next.refresh_token())];
    assert_eq!(from_here("/oauth/revoke", &form).await.status, 200);
}

#[tokio::test]
async fn a_socket_behind_which_nobody_says_who_calls_has_no_budget_to_use_up() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let path = folder.path().join("sentinel.sock");
    let bind = format!("unix:{},127.0.0.1:0", path.display());
    let builder = AppBuilder::default().on(&folder).set("server.bind", &bind);
    let mut app = builder.set("throttle.failures_per_address", "5").spawn().await;
    app.http = reqwest::Client::builder().unix_socket(path).build().unwrap();
    for number in 0..10 {
        let answer = app.login_as(&format!("nobody-{number}"), "wrong", &[]).await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_eq!(app.login_with(&[]).await.status, 200);
    // Who is named there has one.
    spend(&app, HERE).await;
    assert_refused(&right(&app, HERE).await);
    assert_eq!(app.login_with(&[]).await.status, 200);
}

#[tokio::test]
async fn nothing_is_slowed_where_that_is_off() {
    let app = behind_a_proxy().set("throttle.enabled", "false").spawn().await;
    for _ in 0..60 {
        login(&app, HERE, "alice", "wrong").await.assert_error(400, "invalid_grant");
    }
    assert_eq!(right(&app, HERE).await.status, 200);
}
