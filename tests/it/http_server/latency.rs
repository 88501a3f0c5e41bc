//! Responses are sent without delay.

use std::time::{Duration, Instant};

use super::http2_client::Http2Client;
use crate::helpers::Process;
use crate::overload::raw_connection::{RawConnection, get, secured};

const REQUESTS: usize = 25;
/// Limit below the 40 ms by which a client delays its acknowledgement, for which a server without
/// `TCP_NODELAY` waits.
const LIMIT: Duration = Duration::from_millis(20);

fn serve(tls: &str) -> (tempfile::TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::serve(folder.path(), &["--set", &format!("tls.mode={tls}")]);
    (folder, process)
}

/// Measures until the median is below the limit, at most ten times: other tests use the processor
/// as well. With the fault, nearly every response is late every time.
async fn assert_prompt(measure: impl AsyncFn() -> Vec<Duration>) {
    let mut times = Vec::new();
    for _ in 0..10 {
        times = measure().await;
        times.sort_unstable();
        if times[times.len() / 2] < LIMIT {
            return;
        }
    }
    panic!("{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_responses_do_not_wait_for_acknowledgements() {
    let (_folder, process) = serve("self-signed");
    assert_prompt(async || {
        let mut client = Http2Client::connect(&process.address).await;
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let started = Instant::now();
            assert_eq!(client.get("/oauth/errors").await.0, 200);
            times.push(started.elapsed());
        }
        times
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_responses_of_tls_connections_do_not_wait_for_acknowledgements() {
    let (_folder, process) = serve("self-signed");
    assert_prompt(async || {
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let mut connection = RawConnection::new(secured(&process.address, b"http/1.1").await);
            let started = Instant::now();
            assert_eq!(connection.ask(&get("/oauth/errors", "")).await.status, 200);
            times.push(started.elapsed());
        }
        times
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_responses_do_not_wait_for_acknowledgements() {
    let (_folder, process) = serve("off");
    assert_prompt(async || {
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let mut connection = RawConnection::connect(&process.address).await;
            let started = Instant::now();
            connection.ask(&get("/healthz", "").repeat(3)).await;
            connection.reply().await.unwrap();
            connection.reply().await.unwrap();
            times.push(started.elapsed());
        }
        times
    })
    .await;
}
