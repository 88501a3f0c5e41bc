//! Connections of clients that stop in the middle of a request are closed.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::helpers::{Process, all};
use crate::overload::raw_connection::{RawConnection, get};

const BODY_LIMIT: Duration = Duration::from_secs(2);

/// The response to an incomplete body comes after `server.request_timeout`, and the connection is
/// closed a few seconds later, whichever part of the body is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_body_does_not_hold_connection() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::serve(folder.path(), &["--set", "server.request_timeout=2s"]);
    let beginning = |path: &str, framing: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             {framing}\r\n"
        )
    };
    let chunked = "transfer-encoding: chunked\r\n";
    let cases = [
        (beginning("/oauth/token", chunked), "3\r\na=b\r\n", "408", BODY_LIMIT),
        (beginning("/oauth/token", chunked), "3;x", "408", BODY_LIMIT),
        (beginning("/oauth/token", chunked), "0\r\nx: y", "408", BODY_LIMIT),
        (beginning("/oauth/token", "content-length: 9\r\n"), "a=b", "408", BODY_LIMIT),
        // The response is ready immediately, and waits for two seconds.
        (beginning("/nowhere", chunked), "3\r\na=b\r\n", "404", Duration::ZERO),
        (beginning("/nowhere", "content-length: 9\r\n"), "a=b", "404", Duration::ZERO),
    ];
    all(cases.map(|(head, body, status, response_limit)| {
        let address = process.address.clone();
        async move {
            let mut connection = RawConnection::connect(&address).await;
            let started = Instant::now();
            connection.stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            let reply = connection.reply().await.unwrap();
            let responded = started.elapsed();
            assert_eq!(reply.status.to_string(), status, "{body:?}");
            let slack = Duration::from_secs(4);
            let expected = response_limit..response_limit + slack;
            assert!(expected.contains(&responded), "{body:?}: {responded:?}");
            connection.rest(Duration::from_secs(30)).await;
            let closed = started.elapsed() - responded;
            println!("{status} {body:?}: {responded:.1?}, closed after {closed:.1?} more");
            assert!(closed < Duration::from_secs(15), "{body:?}: {closed:?}");
        }
    }))
    .await;
}

/// A later request head has the same time limit as the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_incomplete_request_head_is_408() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::serve(folder.path(), &["--set", "server.request_timeout=2s"]);
    let mut connection = RawConnection::connect(&process.address).await;
    assert_eq!(connection.ask(&get("/healthz", "")).await.status, 200);
    let started = Instant::now();
    connection.stream.write_all(b"GET /hea").await.unwrap();
    let answer = connection.rest(Duration::from_secs(30)).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}
