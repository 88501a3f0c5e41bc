//! Clients that are slow, stall, do not read responses, or send oversized heads.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::raw_connection::{PATIENCE, RawConnection, get};
use super::target::Target;
use crate::helpers::{Process, all};

/// A request whose announced body is never sent.
const BODILESS: &str = "POST /oauth/token HTTP/1.1\r\nhost: sentinel\r\ncontent-length: 9\r\n\
                        content-type: application/x-www-form-urlencoded\r\n\r\n";

fn serve_with_short_timeout(folder: &std::path::Path, more: &[&str]) -> Process {
    Process::serve(folder, &[&["--set", "server.request_timeout=1s"], more].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_request_head_is_rejected_with_408() {
    let folder = tempfile::tempdir().unwrap();
    let process = serve_with_short_timeout(folder.path(), &[]);
    let connection = RawConnection::connect(&process.address).await;
    let (reading, mut writing) = connection.stream.into_split();
    let dripping = tokio::spawn(async move {
        writing.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await?;
        loop {
            writing.write_all(b"x").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        #[allow(unreachable_code, reason = "says what the errors are")]
        io::Result::Ok(())
    });
    let answer =
        RawConnection::new(tokio::io::join(reading, tokio::io::sink())).rest(PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    dripping.abort();
}

/// Malformed requests must not be able to fill the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_http_is_not_logged_as_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = serve_with_short_timeout(folder.path(), &[]);
    for nonsense in ["nonsense\r\n\r\n".to_owned(), "x: y\r\n".repeat(20_000)] {
        let mut connection = RawConnection::connect(&process.address).await;
        let _ =
            connection.stream.write_all(format!("GET / HTTP/1.1\r\n{nonsense}").as_bytes()).await;
        connection.rest(PATIENCE).await;
    }
    assert_eq!(process.terminate(), Some(0));
    let lines = process.lines_until("\"message\":\"stopped\"");
    assert!(!lines.iter().any(|line| line.contains("ERROR")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_without_request_or_handshake_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let process = serve_with_short_timeout(folder.path(), &[]);
    let answer = RawConnection::connect(&process.address).await.rest(PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");

    let folder = tempfile::tempdir().unwrap();
    let process = serve_with_short_timeout(folder.path(), &["--set", "tls.mode=self-signed"]);
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut connection = RawConnection::connect(&process.address).await;
        connection.stream.write_all(beginning).await.unwrap();
        connection.rest(PATIENCE).await;
    }
}

/// A rejected request with an unfinished chunked body.
const REFUSED: &str = "PUT /oauth/token HTTP/1.1\r\nhost: sentinel\r\n\
                       transfer-encoding: chunked\r\n\r\n3\r\na=b\r\n";

/// A trailer section that ends only for a parser that accepts a bare LF as a line end.
const HALF_ENDED: &str = "PUT /oauth/token HTTP/1.1\r\nhost: sentinel\r\n\
                          transfer-encoding: chunked\r\n\r\n0\r\n\n\r\n";

/// All cases run concurrently, because each takes long. A partial head that arrived together with
/// the previous request is closed like an idle connection, after 75 s; others after
/// `server.request_timeout`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_stalled_after_a_request_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let process = serve_with_short_timeout(folder.path(), &[]);
    let healthy = get("/healthz", "");
    let stops = ["", "\r\n", "GET /hea", BODILESS, REFUSED, HALF_ENDED];
    let stops = stops.into_iter().flat_map(|beginning| [(beginning, true), (beginning, false)]);
    all(stops.map(|(beginning, at_once)| {
        let (address, mut first) = (process.address.clone(), healthy.clone());
        async move {
            let mut connection = RawConnection::connect(&address).await;
            let then = beginning.as_bytes();
            if at_once {
                first.extend(then);
            }
            assert_eq!(connection.ask(&first).await.status, 200);
            if !at_once {
                connection.stream.write_all(then).await.unwrap();
            }
            let started = Instant::now();
            connection.rest(Duration::from_secs(240)).await;
            println!("{beginning:?}: closed after {:.0?}", started.elapsed());
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_reads_no_responses_gets_backpressure() {
    let target = Target::start(&[]).await;
    let before = target.process().memory();
    // A response without a body, one with a short body, and a page.
    for request in [get("/oauth/verify", ""), get("/readyz", ""), get("/oauth/errors", "")] {
        let mut connection = RawConnection::connect(target.address()).await;
        let many = request.repeat(1000);
        let mut sent = 0;
        // If no octet is accepted for this long, the server applies backpressure.
        let quiet = Duration::from_secs(5);
        while let Ok(written) = tokio::time::timeout(quiet, connection.stream.write(&many)).await {
            sent += written.unwrap();
            assert!(sent < 96 << 20, "it takes {sent} octets and more");
        }
        let grown = target.process().memory().saturating_sub(before);
        println!("took {} KiB of requests, {} KiB of memory", sent >> 10, grown >> 10);
        assert!(grown < 64 << 20, "{grown} octets more");
        assert!(target.peer().is_active(&target.token).await);
        // The server resumes when the client reads.
        let mut answered = 0;
        while answered < 10_000 {
            assert!([200, 401].contains(&connection.reply().await.unwrap().status));
            answered += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_request_heads_are_rejected() {
    let target = Target::start(&[]).await;
    let before = target.process().memory();
    let large = "x".repeat(200 << 10);
    let one = get("/healthz", &format!("x: {large}\r\n"));
    let many = get("/healthz", &"x: y\r\n".repeat(500));
    let name = get("/healthz", &format!("{large}: x\r\n"));
    let path = get(&format!("/{large}"), "");
    let never_ends = [b"GET /healthz HTTP/1.1\r\n".to_vec(), vec![b'x'; 1 << 20]].concat();
    for head in [one, many, name, path, never_ends] {
        let callers = (0..50).map(|_| {
            let (address, head) = (target.address().to_owned(), head.clone());
            async move {
                let mut connection = RawConnection::connect(&address).await;
                // The server may close the connection before all of it is sent.
                let sending = tokio::time::timeout(PATIENCE, connection.stream.write_all(&head));
                let _ = sending.await.expect("it is taken, or hung up on");
                connection.rest(PATIENCE).await
            }
        });
        let mut count = 0;
        for answer in all(callers).await {
            let refused =
                answer.starts_with("HTTP/1.1 431 ") || answer.starts_with("HTTP/1.1 400 ");
            assert!(refused || answer.is_empty(), "{answer}");
            count += usize::from(refused);
        }
        assert!(count > 0, "no head was answered");
        assert!(target.peer().is_active(&target.token).await);
    }
    let grown = target.process().memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} octets more");
}
