//! Floods of requests of one kind over many connections, each sent as soon as the last is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::raw_connection::{Reply, basic, get, post};
use super::target::{Target, refresh, tokens};
use super::well_behaved_clients::{ResponseTimes, percentile, watch};
use crate::helpers::all;

const LASTS: Duration = Duration::from_secs(3);
const CALLERS: usize = 64;

/// Number of responses by status, and the response times of 429 and 503.
#[derive(Default)]
struct FloodResult {
    answers: BTreeMap<u16, usize>,
    refused: Vec<Duration>,
}

/// Sends requests over many connections, each derived from the previous response. A client whose
/// connection is closed connects again.
async fn flood(
    target: &Target,
    next: impl Fn(Option<&Reply>) -> Vec<u8> + Clone + Send + Sync + 'static,
) -> FloodResult {
    let connector = target.connector();
    let callers = (0..CALLERS).map(move |_| {
        let (connector, next) = (connector.clone(), next.clone());
        async move {
            let mut seen = FloodResult::default();
            let until = Instant::now() + LASTS;
            let mut connection = connector.connect().await;
            let mut request = next(None);
            while Instant::now() < until {
                let started = Instant::now();
                let Ok(reply) = connection.try_ask(&request).await else {
                    connection = connector.connect().await;
                    continue;
                };
                *seen.answers.entry(reply.status).or_default() += 1;
                if [429, 503].contains(&reply.status) {
                    assert!(reply.retry_after.is_some_and(|seconds| seconds > 0), "{reply:?}");
                    seen.refused.push(started.elapsed());
                }
                request = next(Some(&reply));
            }
            seen
        }
    });
    let mut sum = FloodResult::default();
    for seen in all(callers).await {
        for (status, count) in seen.answers {
            *sum.answers.entry(status).or_default() += count;
        }
        sum.refused.extend(seen.refused);
    }
    sum
}

/// Repeats one request.
fn repeated(
    request: Vec<u8>,
) -> impl Fn(Option<&Reply>) -> Vec<u8> + Clone + Send + Sync + 'static {
    move |_| request.clone()
}

/// Floods a server with one request, and measures well-behaved clients before and during the flood.
async fn during(what: &str, target: &Target, request: Vec<u8>, expected: &[u16]) -> FloodResult {
    during_all(what, target, repeated(request), expected).await
}

/// Floods a server, and measures well-behaved clients before and during the flood.
async fn during_all(
    what: &str,
    target: &Target,
    next: impl Fn(Option<&Reply>) -> Vec<u8> + Clone + Send + Sync + 'static,
    expected: &[u16],
) -> FloodResult {
    let (calm, ()) = watch(target, tokio::time::sleep(LASTS)).await;
    calm.print("nothing else", &BTreeMap::new());
    let (seen, flooded) = watch(target, flood(target, next)).await;
    report(what, seen, flooded, expected)
}

fn report(
    what: &str,
    seen: ResponseTimes,
    mut flooded: FloodResult,
    expected: &[u16],
) -> FloodResult {
    seen.print(what, &flooded.answers);
    if !flooded.refused.is_empty() {
        let (usual, last) =
            (percentile(&mut flooded.refused, 50), percentile(&mut flooded.refused, 99));
        println!("{what}: 429 and 503 after {usual:.1} ms, 99 of 100 within {last:.1} ms");
    }
    let statuses: Vec<u16> = flooded.answers.keys().copied().collect();
    assert!(!statuses.is_empty(), "{what}: nothing was answered");
    assert!(statuses.iter().all(|status| expected.contains(status)), "{statuses:?}");
    flooded
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_beyond_password_queue_are_rejected_with_503() {
    let real = [("password.memory_kib", "19456"), ("password.iterations", "2")];
    // Rate limiting is off: it admits only 20 concurrent attempts from one address.
    let from_many = [("password.queue", "16"), ("throttle.enabled", "false")];
    let target = Target::start(&[real, from_many].concat()).await;
    let login = target.right_login();
    let flooded = during("logins", &target, login, &[200, 503]).await;
    assert!(flooded.answers.contains_key(&200), "no login got through");
    assert!(flooded.answers.contains_key(&503), "all of them found a place in a queue of 16");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_are_rate_limited() {
    let target = Target::start(&[]).await;
    // A repeated wrong password would be counted once.
    let logins: Vec<_> = (0..1000).map(|number| target.login(&format!("wrong-{number}"))).collect();
    let next = Arc::new(AtomicUsize::new(0));
    let login = move |_: Option<&Reply>| {
        logins[next.fetch_add(1, Ordering::Relaxed) % logins.len()].clone()
    };
    let what = "logins with wrong passwords";
    let flooded = during_all(what, &target, login, &[400, 429, 503]).await;
    assert!(flooded.answers[&429] > flooded.answers.get(&400).copied().unwrap_or(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_client_secrets_are_rate_limited() {
    let target = Target::start(&[]).await;
    let wrong = basic(&target.peer().backend.0, "wrong");
    let request = post("/oauth/introspect", &wrong, &[("token", "x")]);
    let what = "introspections with a wrong secret";
    let flooded = during(what, &target, request, &[401, 429]).await;
    assert!(flooded.answers.contains_key(&429), "{:?}", flooded.answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_operator_passwords_are_rate_limited() {
    let operator = [("management.username", "root"), ("management.password", "secret enough")];
    let target = Target::start(&operator).await;
    let request = get("/oauth/management", &basic("root", "wrong"));
    let what = "the management page with a wrong password";
    let flooded = during(what, &target, request, &[401, 429]).await;
    assert!(flooded.answers.contains_key(&429), "{:?}", flooded.answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chained_refreshes_all_succeed() {
    let target = Target::start(&[]).await;
    let (login, client) = (target.right_login(), target.peer().client.clone());
    // One login, then a refresh with the token of each response.
    let next = move |before: Option<&Reply>| match before {
        None => login.clone(),
        Some(reply) => refresh(&client, &tokens(&reply.body).1),
    };
    let (seen, flooded) = watch(&target, flood(&target, next)).await;
    let what = "refreshes, each with the token of the one before";
    let flooded = report(what, seen, flooded, &[200]);
    assert!(flooded.answers.contains_key(&200), "{:?}", flooded.answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_refresh_tokens_are_rejected() {
    let target = Target::start(&[]).await;
    let request = refresh(&target.peer().client, "made up");
    let what = "refreshes with a made-up token";
    let flooded = during(what, &target, request, &[400, 429]).await;
    assert!(flooded.answers.contains_key(&400), "{:?}", flooded.answers);
}

/// Handshakes are computed one at a time, so that open connections do not wait behind them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_handshakes_do_not_block_open_connections() {
    let target = Target::start(&[("tls.mode", "self-signed")]).await;
    let (calm, ()) = watch(&target, tokio::time::sleep(LASTS)).await;
    calm.print("nothing else, with TLS", &BTreeMap::new());
    let connector = target.connector();
    let callers = (0..CALLERS).map(|_| {
        let connector = connector.clone();
        async move {
            let until = Instant::now() + LASTS;
            let mut shaken = 0;
            while Instant::now() < until {
                drop(connector.connect().await);
                shaken += 1;
            }
            shaken
        }
    });
    let (seen, shaken) = watch(&target, all(callers)).await;
    let shaken: usize = shaken.iter().sum();
    seen.print(&format!("{shaken} TLS handshakes"), &BTreeMap::new());
    assert!(shaken >= CALLERS, "only {shaken} handshakes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_access_tokens_are_rejected_with_401() {
    let target = Target::start(&[]).await;
    let request = get("/oauth/verify", "authorization: Bearer garbage\r\n");
    let flooded = during("verify with garbage", &target, request, &[401]).await;
    assert!(flooded.answers.contains_key(&401), "{:?}", flooded.answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_bodies_are_rejected_with_413() {
    let target = Target::start(&[]).await;
    let request = post("/oauth/token", "", &[("password", &"x".repeat(1 << 20))]);
    let before = target.process().memory();
    let flooded = during("bodies of a megabyte", &target, request, &[413]).await;
    assert!(flooded.answers.contains_key(&413), "{:?}", flooded.answers);
    let grown = target.process().memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} octets more");
}

/// Hashing has a lower priority than the I/O threads. The test prints the login times during a
/// flood of introspections, and asserts that logins still succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn introspections_do_not_starve_logins() {
    for workers in ["1", "2"] {
        let real = [("password.memory_kib", "19456"), ("password.iterations", "2")];
        let target = Target::start(&[&real[..], &[("server.workers", workers)]].concat()).await;
        let log_in = |until: Instant| {
            let (connector, login) = (target.connector(), target.right_login());
            async move {
                let mut connection = connector.connect().await;
                let mut took = Vec::new();
                while Instant::now() < until || took.is_empty() {
                    let started = Instant::now();
                    assert_eq!(connection.ask(&login).await.status, 200);
                    took.push(started.elapsed());
                }
                took
            }
        };
        let mut calm = log_in(Instant::now() + LASTS).await;
        let introspection = repeated(target.introspection());
        let flooding = flood(&target, introspection);
        let (flooded, mut busy) = tokio::join!(flooding, log_in(Instant::now() + LASTS));
        println!(
            "{workers} I/O threads: {} introspections; a login takes {:.0} ms beside them, at most \
             {:.0} ms, and {:.0} ms without",
            flooded.answers[&200],
            percentile(&mut busy, 50),
            percentile(&mut busy, 100),
            percentile(&mut calm, 50),
        );
    }
}
