//! `sentinel throttle list` and `clear`, run beside a server that counts in memory.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{assert_refused, attack, login, right, spend, strict};
use crate::helpers::redis::Redis;
use crate::helpers::{App, PASSWORD, TestResponse, send};

const HERE: &str = "192.0.2.1";

/// Lists the spent budgets, as soon as there are `count`.
async fn list(app: &App, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = app.run(&["throttle", "list", "--json"]).await;
        let found: Vec<Value> = serde_json::from_str(&text).unwrap();
        if found.len() == count {
            return found;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Repeats a login until it is accepted, which a clearance makes happen within a second.
async fn until_accepted<F: Future<Output = TestResponse>>(login: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = login().await;
        if answer.status == 200 {
            return;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spent_budgets_are_listed_with_subject_and_end() {
    let app = strict().spawn().await;
    spend(&app, HERE).await;
    attack(&app, "alice").await;
    attack(&app, "unwritten").await;
    let found = list(&app, 3).await;
    let has = |what: &str, subject: Value| {
        let is = |one: &&Value| one["what"] == what && one["subject"] == subject;
        let one = found.iter().find(is).unwrap_or_else(|| panic!("{subject}: {found:?}"));
        assert_eq!(one["guessed"], "password");
        assert!(one["until"].as_str().unwrap().starts_with("2100-01-01T00:0"), "{one}");
    };
    has("address", json!(HERE));
    has("name", json!("alice"));
    // A name of no user may be a password.
    has("name", Value::Null);
    let text = app.run(&["throttle", "list"]).await;
    assert!(text.starts_with("WHAT") && text.contains("192.0.2.1"), "{text}");
    assert!(text.contains("(an unknown name)") && !text.contains("unwritten"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cleared_address_logs_in_and_others_stay_limited() {
    let app = strict().spawn().await;
    for from in [HERE, "192.0.2.2"] {
        spend(&app, from).await;
        assert_refused(&right(&app, from).await);
    }
    list(&app, 2).await;
    let done = app.run(&["throttle", "clear", "--address", HERE, "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&done).unwrap(), json!({ "cleared": true }));
    until_accepted(|| right(&app, HERE)).await;
    assert_refused(&right(&app, "192.0.2.2").await);
    assert_eq!(list(&app, 1).await[0]["subject"], "192.0.2.2");
    app.run(&["throttle", "clear", "--all"]).await;
    until_accepted(|| right(&app, "192.0.2.2")).await;
    assert!(list(&app, 0).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clearing_an_address_clears_the_networks_around_it() {
    let app = strict().spawn().await;
    for number in 0..8 {
        spend(&app, &format!("192.0.2.{number}")).await;
    }
    assert_refused(&right(&app, "192.0.2.200").await);
    app.run(&["throttle", "clear", "--address", "192.0.2.200"]).await;
    until_accepted(|| right(&app, "192.0.2.200")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_is_listed_by_name_and_cleared_as_a_user() {
    let operator = [("management.username", "root"), ("management.password", "a long password")];
    let builder = operator.into_iter().fold(strict(), |app, (name, value)| app.set(name, value));
    let app = builder.spawn().await;
    for number in 0..3 {
        let from = format!("192.0.2.{number}");
        let request = app.request("GET", "/oauth/management").header("x-forwarded-for", from);
        let answer = send(request.basic_auth("root", Some(format!("guess-{number}")))).await;
        assert_eq!(answer.status, 401);
    }
    let found = list(&app, 1).await;
    assert_eq!((&found[0]["what"], &found[0]["guessed"]), (&json!("name"), &json!("operator")));
    assert_eq!(found[0]["subject"], "root");
    app.run(&["throttle", "clear", "--user", "root"]).await;
    list(&app, 0).await;
}

/// Whether two logins as alice from new addresses are verified without a pause.
async fn is_delayed(app: &App, network: &str) -> bool {
    let started = Instant::now();
    for number in 1..=2 {
        assert_eq!(right(app, &format!("{network}.{number}")).await.status, 200);
    }
    started.elapsed() >= Duration::from_millis(250)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn password_set_by_the_operator_clears_the_budget_of_its_user() {
    let app = strict().spawn().await;
    for (way, number) in [("command line", 1), ("server", 2)] {
        attack(&app, "alice").await;
        assert!(is_delayed(&app, &format!("10.{number}.0")).await, "{way}");
        list(&app, 1).await;
        if way == "server" {
            app.change_password().await;
        } else {
            app.run_with(PASSWORD, &["user", "passwd", "alice", "--password-stdin"]).await;
        }
        list(&app, 0).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut attempt = 1;
        while is_delayed(&app, &format!("10.{number}.{attempt}")).await {
            assert!(Instant::now() < deadline, "{way}");
            attempt += 1;
        }
        app.advance(600);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clearance_reaches_redis_and_every_server() {
    let redis = Redis::start();
    let builder = || strict().redis(&redis).set("redis.publish_tokens", "false");
    let one = builder().spawn().await;
    let other = builder().on(&one.folder).spawn().await;
    spend(&one, HERE).await;
    assert_refused(&right(&other, HERE).await);
    one.run(&["throttle", "clear", "--address", HERE]).await;
    until_accepted(|| right(&one, HERE)).await;
    until_accepted(|| right(&other, HERE)).await;
    spend(&other, "192.0.2.9").await;
    one.run(&["throttle", "clear", "--all"]).await;
    until_accepted(|| right(&other, "192.0.2.9")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budget_spent_at_a_server_that_has_stopped_is_listed() {
    let redis = Redis::start();
    let builder = || strict().redis(&redis).set("redis.publish_tokens", "false");
    let one = builder().spawn().await;
    let other = builder().on(&one.folder).spawn().await;
    spend(&one, HERE).await;
    one.stop().await;
    assert_refused(&right(&other, HERE).await);
    assert_eq!(list(&other, 1).await[0]["subject"], HERE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spent_budget_of_known_devices_is_listed_and_cleared_with_the_user() {
    let app = strict().spawn().await;
    assert_eq!(right(&app, HERE).await.status, 200);
    spend(&app, HERE).await;
    for number in 0..3 {
        let answer = login(&app, HERE, "alice", &format!("guess-{number}")).await;
        answer.assert_error(400, "invalid_grant");
    }
    assert_refused(&right(&app, HERE).await);
    // The address, the name and the known device.
    let found = list(&app, 3).await;
    let has = |what: &str| found.iter().any(|one| one["what"] == what && one["subject"] == "alice");
    assert!(has("name") && has("device"), "{found:?}");
    app.run(&["throttle", "clear", "--user", "alice"]).await;
    until_accepted(|| right(&app, HERE)).await;
    assert_eq!(list(&app, 1).await[0]["subject"], HERE);
}
