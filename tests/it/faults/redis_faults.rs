//! Redis suspended, flushed, out of memory, disconnected and restarted, under load on two servers.

use std::time::Duration;

use super::load::Load;
use crate::helpers::redis::Redis;
use crate::helpers::{Servers, mongod};

/// Duration of each fault.
const A_WHILE: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn redis_faults_yield_correct_responses_or_503_and_recovery() {
    let mut redis = Redis::start();
    let mut settings = mongod::replica_set().await.overrides();
    settings.push(("redis.url".to_owned(), redis.url.clone()));
    let servers = Servers::start(2, &settings).await;
    let load = Load::start(&servers.peers).await;

    let frozen = async {
        redis.suspend();
        tokio::time::sleep(A_WHILE).await;
        redis.resume();
    };
    let mut rows = vec![load.during("Redis", "frozen", frozen).await];
    let flushed = redis.ask::<()>(&["FLUSHALL"]);
    rows.push(load.during("Redis", "flushed", flushed).await);
    let full = async {
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
        tokio::time::sleep(A_WHILE).await;
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    };
    rows.push(load.during("Redis", "out of memory", full).await);
    let hung_up = async {
        for _ in 0..20 {
            redis.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal"]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    rows.push(load.during("Redis", "hangs up 20 times", hung_up).await);
    let killed = async {
        redis.kill();
        tokio::time::sleep(A_WHILE).await;
        redis.restart();
    };
    rows.push(load.during("Redis", "killed and started again, empty", killed).await);
    for row in &rows {
        row.print();
    }
    let unready: Vec<_> = rows.iter().map(|row| row.unready > 0).collect();
    // Tokens are published, so a server is not ready while Redis takes none. A flush and closed
    // connections do not last.
    assert_eq!([unready[0], unready[1], unready[2], unready[4]], [true, false, true, true]);
    load.finish().await;
}
