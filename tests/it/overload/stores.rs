//! A MongoDB that hangs while thousands of calls wait for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::raw_connection::{RawConnection, basic, get, post};
use super::well_behaved_clients::percentile;
use crate::helpers::mongod::{Mongod, TestDatabase};
use crate::helpers::{Servers, all};

/// Number of clients, above the limit on concurrent MongoDB calls.
const CALLERS: usize = 5000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_mongodb_concurrency_limit_are_rejected_with_503() {
    let mongod = Mongod::start(&[]);
    let servers = Servers::start(1, &TestDatabase::on(&mongod.uri).overrides()).await;
    let (process, peer) = (&servers.processes[0], &servers.peers[0]);
    let token = peer.login().await.access_token();
    let introspection =
        post("/oauth/introspect", &basic(&peer.backend.0, &peer.backend.1), &[("token", &token)]);
    let mut alive = RawConnection::connect(&process.address).await;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(RawConnection::connect(&process.address).await);
    }
    let before = process.memory();
    mongod.suspend();
    let asking = tokio::spawn(all(callers.into_iter().map(move |mut connection| {
        let introspection = introspection.clone();
        async move {
            let started = Instant::now();
            let reply = connection.ask(&introspection).await;
            (reply, started.elapsed(), connection)
        }
    })));
    let mut probes = Vec::new();
    let mut largest = 0;
    while !asking.is_finished() {
        let started = Instant::now();
        assert_eq!(alive.ask(&get("/healthz", "")).await.status, 200);
        probes.push(started.elapsed());
        largest = largest.max(process.memory());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut answers = BTreeMap::<u16, usize>::new();
    let mut took = Vec::new();
    for (reply, after, _) in asking.await.unwrap() {
        assert!(reply.status == 503 && reply.retry_after.is_some(), "{reply:?}");
        *answers.entry(reply.status).or_default() += 1;
        took.push(after);
    }
    println!(
        "MongoDB frozen: {answers:?}, the first tenth within {:.0} ms, the last after {:.0} ms; \
         /healthz within {:.0} ms; {} → {} MiB",
        percentile(&mut took, 10),
        percentile(&mut took, 100),
        percentile(&mut probes, 100),
        before >> 20,
        largest >> 20,
    );
    assert!(largest.saturating_sub(before) < 256 << 20, "{before} → {largest}");
    mongod.resume();
    let deadline = Instant::now() + Duration::from_secs(60);
    while peer.ready().await.status != 200 {
        assert!(Instant::now() < deadline, "it does not recover");
    }
    assert!(peer.is_active(&token).await);
    process.wait_for("answered 503 because of overload: the store is too busy");
}
