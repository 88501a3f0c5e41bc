//! Budget of an address.

use super::{assert_refused, behind_a_proxy, login, right, spend, strict};
use crate::helpers::{AppBuilder, PASSWORD, all, send, spawn_app};

const HERE: &str = "192.0.2.1";

#[tokio::test]
async fn address_over_its_budget_is_rejected_with_retry_after() {
    let app = behind_a_proxy().spawn().await;
    spend(&app, HERE).await;
    // The correct password is not verified.
    let seconds = assert_refused(&right(&app, HERE).await);
    assert_eq!(seconds, 300);
    app.advance(seconds - 1);
    assert_eq!(assert_refused(&right(&app, HERE).await), 1);
    app.advance(1);
    assert_eq!(right(&app, HERE).await.status, 200);
}

#[tokio::test]
async fn failures_of_one_address_do_not_limit_others() {
    let app = strict().spawn().await;
    spend(&app, HERE).await;
    assert_refused(&right(&app, HERE).await);
    assert_eq!(right(&app, "192.0.2.2").await.status, 200);
    login(&app, "192.0.2.2", "alice", "wrong").await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn ipv6_addresses_of_one_64_prefix_share_a_budget() {
    let app = strict().spawn().await;
    for number in 0..5 {
        let from = format!("2001:db8:0:1::{number}");
        let name = format!("nobody-{number}");
        login(&app, &from, &name, "wrong").await.assert_error(400, "invalid_grant");
    }
    assert_refused(&right(&app, "2001:db8:0:1:ffff::1").await);
    assert_eq!(right(&app, "2001:db8:0:2::1").await.status, 200);
    // An IPv4-mapped address counts as its IPv4 address.
    spend(&app, HERE).await;
    assert_refused(&right(&app, "::ffff:192.0.2.1").await);
    assert_eq!(right(&app, "::ffff:192.0.2.2").await.status, 200);
}

#[tokio::test]
async fn forwarded_headers_of_untrusted_clients_are_ignored() {
    // Without trusted proxies the header is ignored.
    let app = spawn_app().await;
    for number in 0..20 {
        let from = format!("192.0.2.{number}");
        let answer = login(&app, &from, &format!("nobody-{number}"), "wrong").await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_refused(&right(&app, "203.0.113.9").await);

    // A trusted proxy appends the address of its client to the header.
    let app = strict().spawn().await;
    for number in 0..5 {
        let from = format!("203.0.113.{number}, {HERE}");
        let answer = login(&app, &from, &format!("nobody-{number}"), "wrong").await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_refused(&right(&app, &format!("203.0.113.9, {HERE}")).await);
    // The forged address is not charged either.
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
async fn successful_login_does_not_restore_the_budget() {
    let app = strict().spawn().await;
    for number in 0..5 {
        assert_eq!(right(&app, HERE).await.status, 200);
        let answer = login(&app, HERE, &format!("nobody-{number}"), "wrong").await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_refused(&login(&app, HERE, "nobody", "wrong").await);
}

#[tokio::test]
async fn successful_logins_do_not_use_the_budget() {
    let app = strict().spawn().await;
    let answers = all((0..40).map(|_| right(&app, HERE))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

/// Concurrent guesses start before any of them has failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_guesses_share_one_budget() {
    let app = behind_a_proxy().spawn().await;
    let guesses = (0..120).map(|number| login(&app, HERE, &format!("nobody-{number}"), "wrong"));
    let answers = all(guesses).await;
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(400), with(429)), (20, 100));
}

#[tokio::test]
async fn refresh_verify_and_revoke_work_from_rate_limited_address() {
    let app = strict().spawn().await;
    let tokens = right(&app, HERE).await;
    spend(&app, HERE).await;
    assert_refused(&login(&app, HERE, "nobody", "wrong").await);
    let (id, refresh) = (app.client.id.as_str(), tokens.refresh_token());
    let from_here = |path: &str, form: &[(&str, &str)]| {
        send(app.request("POST", path).header("x-forwarded-for", HERE).form(form))
    };
    let form = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", &refresh)];
    let next = from_here("/oauth/token", &form).await;
    assert_eq!(next.status, 200);
    let verify = app.request("GET", "/oauth/verify").header("x-forwarded-for", HERE);
    assert_eq!(send(verify.bearer_auth(next.access_token())).await.status, 200);
    let form = [("client_id", id), ("token", &next.refresh_token())];
    assert_eq!(from_here("/oauth/revoke", &form).await.status, 200);
}

#[tokio::test]
async fn unix_socket_without_forwarded_address_has_no_budget() {
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
    // A forwarded address has a budget.
    spend(&app, HERE).await;
    assert_refused(&right(&app, HERE).await);
    assert_eq!(app.login_with(&[]).await.status, 200);
}

#[tokio::test]
async fn disabled_throttle_limits_nothing() {
    let app = behind_a_proxy().set("throttle.enabled", "false").spawn().await;
    for _ in 0..60 {
        login(&app, HERE, "alice", "wrong").await.assert_error(400, "invalid_grant");
    }
    assert_eq!(right(&app, HERE).await.status, 200);
}
