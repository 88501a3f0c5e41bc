//! Requests for which RFC 9110, 9112 and 9113 define a response.

use std::time::{Duration, Instant};

use http::Request;
use tokio::io::AsyncWriteExt;

use super::http2_client::{Http2Client, request};
use crate::helpers::Process;
use crate::overload::raw_connection::{PATIENCE, RawConnection, get};

fn serve(arguments: &[&str]) -> (tempfile::TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::serve(folder.path(), arguments);
    (folder, process)
}

/// Sends octets and returns everything received until the server closes the connection.
async fn exchange(process: &Process, octets: &str) -> String {
    let mut wire = RawConnection::connect(&process.address).await;
    wire.stream.write_all(octets.as_bytes()).await.unwrap();
    wire.rest(PATIENCE).await
}

async fn status_of(process: &Process, octets: &str) -> u16 {
    RawConnection::connect(&process.address).await.ask(octets.as_bytes()).await.status
}

/// RFC 9110 §7.8: "A server MAY ignore a received Upgrade header field if it wishes to continue
/// using the current protocol on that connection."
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrade_is_ignored_and_body_is_read() {
    let (_folder, process) = serve(&[]);
    let started = Instant::now();
    let body = "grant_type=password";
    let post = format!(
        "POST /oauth/token HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut wire = RawConnection::connect(&process.address).await;
    assert_eq!(wire.ask(post.as_bytes()).await.status, 401);
    let upgrade = get("/healthz", "connection: upgrade\r\nupgrade: h2c\r\n");
    assert_eq!(wire.ask(&upgrade).await.status, 200);
    assert_eq!(wire.ask(&get("/healthz", "")).await.status, 200);
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// RFC 9110 §2.5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_minor_version_is_processed_as_http_1_1() {
    let (_folder, process) = serve(&[]);
    let later = "GET /healthz HTTP/1.2\r\nhost: x\r\n\r\n";
    let mut wire = RawConnection::connect(&process.address).await;
    assert_eq!(wire.ask(later.as_bytes()).await.status, 200);
    assert_eq!(wire.ask(later.replace("1.2", "1.9").as_bytes()).await.status, 200);
    for other in ["2.0", "0.9", "1.", "1.10", "9.9"] {
        let answer = exchange(&process, &later.replace("1.2", other)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{other}: {answer}");
    }
}

/// RFC 9112 §3.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_without_one_valid_host_is_400() {
    let (_folder, process) = serve(&[]);
    let get = |fields: &str| format!("GET /healthz HTTP/1.1\r\n{fields}\r\n");
    for host in ["localhost", "localhost:5000", "[::1]", "[::1]:5000", "auth.example.org:", "a_b:1"]
    {
        assert_eq!(status_of(&process, &get(&format!("host: {host}\r\n"))).await, 200, "{host}");
    }
    for host in ["", "u@b", "a/b", "a b", "a:99999", "a:b", "a:+1", ":80", "[::1", "::1", "a?b"] {
        let reply = RawConnection::connect(&process.address)
            .await
            .ask(get(&format!("host: {host}\r\n")).as_bytes())
            .await;
        assert_eq!(reply.status, 400, "{host}");
        assert!(reply.body.contains("\"error\":\"invalid_request\""), "{}", reply.body);
    }
    assert_eq!(status_of(&process, &get("")).await, 400);
    assert_eq!(status_of(&process, &get("host: a\r\nhost: a\r\n")).await, 400);
    assert_eq!(status_of(&process, "GET /healthz HTTP/1.0\r\n\r\n").await, 200);
    for (target, status) in [("http://x/healthz", 200), ("http://u@x/healthz", 400)] {
        let absolute = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(status_of(&process, &absolute).await, status, "{target}");
    }
}

/// RFC 9112 §6.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfer_coding_other_than_chunked_is_501() {
    let (_folder, process) = serve(&[]);
    let post = |codings: &str| {
        format!(
            "POST /oauth/token HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {codings}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n3\r\na=b\r\n0\r\n\r\n"
        )
    };
    for (codings, status) in [("chunked", 400), ("Chunked", 400), ("gzip, chunked", 501)] {
        assert_eq!(status_of(&process, &post(codings)).await, status, "{codings}");
    }
}

/// A response that closes the connection has no `keep-alive`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_response_to_http_1_0_has_no_keep_alive() {
    let (_folder, process) = serve(&[]);
    let post = "POST /oauth/token HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 1000000\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\n";
    let answer = exchange(&process, &format!("{post}{}", "x".repeat(1_000_000))).await;
    assert!(answer.contains(" 413 ") && answer.contains("connection: close\r\n"), "{answer}");
    assert!(!answer.contains("keep-alive"), "{answer}");
}

/// RFC 9113 §8.3.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authority_with_user_information_is_400() {
    let (_folder, process) = serve(&["--set", "tls.mode=self-signed"]);
    let mut client = Http2Client::connect(&process.address).await;
    let to = |authority: &str, host: Option<&str>| {
        let uri = format!("https://{authority}/healthz");
        let mut request = Request::builder().uri(uri).version(http::Version::HTTP_2);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        request.body(()).unwrap()
    };
    assert_eq!(client.send(to("localhost", None), b"").await.unwrap().0, 200);
    assert_eq!(client.send(to("localhost", Some("localhost")), b"").await.unwrap().0, 200);
    for refused in
        [to("u@localhost", None), to("localhost", Some("other")), to("localhost:99999", None)]
    {
        assert_eq!(client.send(refused, b"").await.unwrap().0, 400);
    }
}

/// The limit of HTTP/1.1 applies to HTTP/2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_http2_header_fields_are_431() {
    let (_folder, process) = serve(&["--set", "tls.mode=self-signed"]);
    let mut client = Http2Client::connect(&process.address).await;
    let with = |fields: usize| {
        let mut request = request("GET", "/healthz");
        for field in 0..fields {
            let name = http::HeaderName::try_from(format!("x{field}")).unwrap();
            request.headers_mut().insert(name, http::HeaderValue::from_static("1"));
        }
        request
    };
    assert_eq!(client.send(with(96), b"").await.unwrap().0, 200);
    assert_eq!(client.send(with(97), b"").await.unwrap().0, 431);
    // The connection stays open.
    assert_eq!(client.get("/healthz").await.0, 200);
}

/// A trailer section whose line ends with a bare LF may end inside the next request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bare_lf_in_trailer_section_hides_no_request() {
    let (_folder, process) = serve(&[]);
    for (path, end, pause) in [
        ("/oauth/token", "0\r\n\n\r\n", 0),
        ("/oauth/token", "0\r\nx: y\n\r\n", 0),
        ("/nowhere", "0\r\n\n\r\n", 0),
        // The rest arrives after the response.
        ("/nowhere", "0\r\n\n\r\n", 3),
    ] {
        let started = Instant::now();
        let post = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n3\r\na=b\r\n"
        );
        let next = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
        let mut wire = RawConnection::connect(&process.address).await;
        wire.stream.write_all(post.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(pause)).await;
        wire.stream.write_all(format!("{end}{next}").as_bytes()).await.unwrap();
        let answers = wire.rest(PATIENCE).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{end:?}: {answers}");
        assert!(answers.starts_with("HTTP/1.1 4"), "{end:?}: {answers}");
        assert!(answers.contains("connection: close"), "{end:?}: {answers}");
        assert!(started.elapsed() < Duration::from_secs(pause + 8), "{end:?}");
    }
}

/// A response of known size ends with its last octet: an empty frame after it would cost a packet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_octet_of_http2_response_ends_its_stream() {
    let (_folder, process) = serve(&["--set", "tls.mode=self-signed"]);
    let url = format!("https://{}/oauth/errors", process.address);
    let output = crate::helpers::command("nghttp").args(["-nv", &url]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let frames: Vec<&str> = text.lines().filter(|line| line.contains("recv DATA frame")).collect();
    assert!(!frames.is_empty(), "{text}");
    assert!(frames.iter().all(|frame| !frame.contains("<length=0")), "{frames:?}");
    assert!(frames.last().unwrap().contains("flags=0x01"), "{frames:?}");
}
