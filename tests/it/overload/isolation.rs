//! Requests on one connection do not affect each other or other connections, however they are sent.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::pipelines::busy;
use super::raw_connection::{PATIENCE, RawConnection, basic, get};
use super::target::Target;

/// Head of a request with a form body, without its last line.
const BEGINNING: &str = "POST /oauth/token HTTP/1.1\r\nhost: sentinel\r\n\
                         content-type: application/x-www-form-urlencoded\r\n";

/// Each response is framed for its own request, whatever follows in the pipeline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_do_not_change_each_others_responses() {
    let target = Target::start(&[]).await;
    let mut wire = RawConnection::connect(target.address()).await;
    let head = b"HEAD /healthz HTTP/1.1\r\nhost: sentinel\r\n\r\n".to_vec();
    let posted = format!("{BEGINNING}content-length: 100\r\n\r\n{}", "x".repeat(100));
    let last = get("/healthz", "connection: close\r\n");
    let requests = [get("/healthz", ""), head, get("/healthz", ""), posted.into_bytes(), last];
    wire.stream.write_all(&requests.concat()).await.unwrap();
    let answers = wire.rest(PATIENCE).await;
    let answers: Vec<_> = answers.split("HTTP/1.1 ").skip(1).collect();
    assert_eq!(answers.len(), 5, "{answers:?}");
    for (answer, (status, has_body)) in answers.iter().zip([
        ("200", true),
        ("200", false),
        ("200", true),
        ("400", true),
        ("200", true),
    ]) {
        assert!(answer.starts_with(status), "{answer}");
        assert_ne!(answer.ends_with("\r\n\r\n"), has_body, "{answer}");
    }
    let closing: Vec<_> =
        answers.iter().map(|answer| answer.contains("connection: close")).collect();
    assert_eq!(closing, [false, false, false, false, true]);
}

/// RFC 9112 §9.6: "A server that sends a "close" connection option MUST initiate closure of the
/// connection [...] MUST NOT process any further requests received on that connection."
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_after_connection_close_are_not_processed() {
    let target = Target::start(&[]).await;
    let mut wire = RawConnection::connect(target.address()).await;
    let put = b"PUT /oauth/token HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\na=b";
    let put = put.to_vec();
    wire.stream.write_all(&[put, get("/healthz", "")].concat()).await.unwrap();
    let answers = wire.rest(PATIENCE).await;
    assert!(answers.starts_with("HTTP/1.1 405 ") && answers.contains("connection: close"));
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
}

/// The server stops reading a body that is too large.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_rejected_body_closes_the_connection() {
    let target = Target::start(&[]).await;
    let mut wire = RawConnection::connect(target.address()).await;
    let beginning = format!("{BEGINNING}transfer-encoding: chunked\r\n\r\n");
    wire.stream.write_all(beginning.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
    let mut sent = 0;
    let sending = async {
        while wire.stream.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
            assert!(sent < 64 << 20, "it takes {sent} octets and more");
        }
    };
    tokio::time::timeout(PATIENCE, sending).await.unwrap();
    assert!(sent > 0, "it takes nothing");
}

/// Responses are framed when they are queued, even if the client does not read them for some time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_reads_late_gets_correctly_framed_responses() {
    let target = Target::start(&[]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(target.address().parse().unwrap()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let mut requests = String::new();
    for number in 0..4000 {
        let method = if number % 2 == 0 { "HEAD" } else { "GET" };
        write!(requests, "{method} /oauth/errors HTTP/1.1\r\nhost: sentinel\r\n\r\n").unwrap();
    }
    requests.push_str("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let behind = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(4);
    let sending = tokio::spawn(async move {
        // The server may close the connection when it has answered all but the last four.
        let _ = writing.write_all((requests + &behind).as_bytes()).await;
        writing
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut received = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut received)).await.unwrap();
    sending.await.unwrap();
    let received = String::from_utf8(received).unwrap();
    let answers: Vec<_> = received.split("HTTP/1.1 200 OK").skip(1).collect();
    assert_eq!(answers.len(), 4001);
    for (number, answer) in answers.iter().enumerate() {
        let has_body = !answer.ends_with("\r\n\r\n");
        assert_eq!(has_body, number % 2 == 1 || number == 4000, "the one numbered {number}");
    }
}

/// RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at
/// least one empty line (CRLF) received prior to the request-line."
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_lines_before_request_line_are_ignored_cheaply() {
    let target = Target::start(&[]).await;
    let mut wire = RawConnection::connect(target.address()).await;
    assert_eq!(wire.ask(&[b"\r\n".to_vec(), get("/healthz", "")].concat()).await.status, 200);
    let before = busy(target.process());
    let lines = "\r\n".repeat(20_000).into_bytes();
    let answer = wire.ask(&[get("/healthz", ""), lines, get("/healthz", "")].concat()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(wire.reply().await.unwrap().status, 200);
    let busy = busy(target.process()) - before;
    assert!(busy < Duration::from_millis(300), "{busy:?}");
}

/// Chunk extensions and trailer sections have a size limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_chunk_extensions_and_trailers_use_bounded_memory() {
    let target = Target::start(&[]).await;
    let before = target.process().memory();
    for line in ["1;a=", "0\r\nx: "] {
        let mut wire = RawConnection::connect(target.address()).await;
        let beginning = format!("{BEGINNING}transfer-encoding: chunked\r\n\r\n{line}");
        let requests = [get("/healthz", ""), beginning.into_bytes()].concat();
        assert_eq!(wire.ask(&requests).await.status, 200);
        let more = vec![b'a'; 1 << 20];
        let mut sent = 0;
        while wire.stream.write_all(&more).await.is_ok() {
            sent += 1;
            assert!(sent < 64, "{line:?}: it takes {sent} MiB and more");
        }
        assert!(sent > 0, "{line:?}: it takes nothing");
        let grown = target.process().memory().saturating_sub(before);
        assert!(grown < 16 << 20, "{line:?}: {grown} octets more");
    }
}

/// The body is accepted whether it is sent with the head or after a pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_up_to_max_body_is_accepted() {
    let target = Target::start(&[("server.max_body", "4MiB")]).await;
    let (name, secret) = &target.peer().backend;
    let body = format!("token={}&x={}", target.token, "y".repeat(1_000_000));
    let head = format!(
        "POST /oauth/introspect HTTP/1.1\r\nhost: x\r\n{}content-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n",
        basic(name, secret),
        body.len(),
    );
    let mut wire = RawConnection::connect(target.address()).await;
    for pause in [0, 100] {
        wire.stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let answer = wire.ask(body.as_bytes()).await;
        assert_eq!((answer.status, answer.body.contains("\"active\":true")), (200, true));
    }
}
