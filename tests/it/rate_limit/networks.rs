//! Budgets of the networks around an address.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{assert_refused, behind_a_proxy, login, right, spend, strict};
use crate::helpers::all;

/// Makes `count` failures, each from another address and for another name.
async fn fail(app: &crate::helpers::App, count: u32, from: impl Fn(u32) -> String) {
    for number in 0..count {
        let from = from(number);
        let answer = login(app, &from, &format!("nobody-{from}"), "wrong").await;
        answer.assert_error(400, "invalid_grant");
    }
}

#[tokio::test]
async fn ipv4_network_has_eight_times_the_budget_of_an_address() {
    let app = strict().spawn().await;
    fail(&app, 40, |number| format!("192.0.2.{number}")).await;
    assert_eq!(assert_refused(&right(&app, "192.0.2.200").await), 300);
    assert_eq!(right(&app, "192.0.3.200").await.status, 200);
    app.advance(300);
    assert_eq!(right(&app, "192.0.2.200").await.status, 200);
}

#[tokio::test]
async fn ipv6_56_and_48_prefixes_have_8_and_32_times_the_budget() {
    let app = strict().spawn().await;
    fail(&app, 40, |number| format!("2001:db8:0:1{number:02}::1")).await;
    assert_refused(&right(&app, "2001:db8:0:1ff::1").await);
    assert_eq!(right(&app, "2001:db8:0:2ff::1").await.status, 200);
    // 40 of the 160 failures are counted already.
    fail(&app, 120, |number| format!("2001:db8:0:{:x}::1", 0x1000 + (number << 8))).await;
    assert_refused(&right(&app, "2001:db8:0:ffff::1").await);
    assert_eq!(right(&app, "2001:db8:1::1").await.status, 200);
}

#[tokio::test]
async fn nat64_addresses_have_the_budgets_of_the_ipv4_addresses_inside() {
    let app = strict().spawn().await;
    spend(&app, "64:ff9b::192.0.2.1").await;
    assert_refused(&right(&app, "64:ff9b::192.0.2.1").await);
    assert_refused(&right(&app, "192.0.2.1").await);
    assert_eq!(right(&app, "64:ff9b::192.0.2.2").await.status, 200);
    assert_eq!(right(&app, "64:ff9b::198.51.100.1").await.status, 200);
}

#[tokio::test]
async fn budgets_of_networks_are_separate_for_each_kind_of_credential() {
    let app = strict().spawn().await;
    fail(&app, 40, |number| format!("192.0.2.{number}")).await;
    let secret = app.backend_secret.clone();
    let request = app.request("POST", "/oauth/introspect").header("x-forwarded-for", "192.0.2.9");
    let request = request.basic_auth(app.backend.id.as_str(), Some("another-secret"));
    let answer = crate::helpers::send(request.form(&[("token", secret)])).await;
    answer.assert_error(401, "invalid_client");
}

/// Each guess comes from another /64 of one /48, and for another name, as fast as possible.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn flood_from_one_48_prefix_leaves_the_hash_queue_to_others() {
    let app = behind_a_proxy().set("password.workers", "1").set("password.memory_kib", "8192");
    let app = Arc::new(app.spawn().await);
    let (next, verified) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let attackers: Vec<_> = (0..300)
        .map(|_| {
            let (app, next, verified) =
                (Arc::clone(&app), Arc::clone(&next), Arc::clone(&verified));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let from = format!("2001:db8:0:{:x}::1", number & 0xffff);
                    let answer = login(&app, &from, &format!("nobody-{number}"), "wrong").await;
                    verified.fetch_add(u32::from(answer.status == 400), Ordering::Relaxed);
                }
            })
        })
        .collect();
    while verified.load(Ordering::Relaxed) < 50 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let answers = all((0..10).map(|number| right(&app, &format!("203.0.113.{number}")))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    attackers.iter().for_each(tokio::task::JoinHandle::abort);
    // 32 times the budget of an address, and the attempts that were being verified.
    let verified = verified.load(Ordering::Relaxed);
    assert!(verified <= 640 + 64, "{verified}");
}
