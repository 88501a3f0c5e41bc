//! Responses that are ready before the request is complete reach every client (RFC 9112 §9.5 and
//! RFC 9113 §8.1).

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::http2_client::{Http2Client, request};
use crate::helpers::{Process, command};
use crate::overload::raw_connection::RawConnection;

const SIZES: [usize; 4] = [9, 90_000, 1_200_000, 3_000_000];
const FORM: &str = "application/x-www-form-urlencoded";

fn serve(folder: &Path, tls: &str) -> Process {
    let tls = format!("tls.mode={tls}");
    let operator =
        ["--set", "management.username=admin", "--set", "management.password=a long one"];
    Process::serve(folder, &[&["--set", &tls][..], &operator].concat())
}

/// Runs curl with a body of `size` octets and returns its exit code and the status it saw.
fn curl(folder: &Path, url: &str, size: usize, more: &[&str]) -> (Option<i32>, String) {
    let body = folder.join(format!("body-{size}"));
    std::fs::write(&body, "x".repeat(size)).unwrap();
    let mut curl = command("curl");
    curl.args(["-sk", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code}"]);
    curl.arg("--data-binary").arg(format!("@{}", body.display())).args(more).arg(url);
    let output = curl.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Debian 12's curl 7.88 loses a response that a reset of its stream follows at once.
#[test]
fn curl_receives_every_response_sent_before_body_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (tls, scheme, version) in [
        ("off", "http", "--http1.1"),
        ("self-signed", "https", "--http1.1"),
        ("self-signed", "https", "--http2"),
    ] {
        let process = serve(folder, tls);
        for size in SIZES {
            let form_status = if size > 16 << 10 { "413" } else { "400" };
            let form = format!("content-type: {FORM}");
            for (path, more, status) in [
                ("/nowhere", &[][..], "404"),
                ("/oauth/token", &["-H", "content-type: application/json"], "400"),
                ("/oauth/token", &["-H", &form], form_status),
                ("/oauth/errors", &["-X", "PUT"], "405"),
                ("/oauth/verify", &["-X", "PUT"], "401"),
                ("/oauth/management/api/users", &["-u", "admin:wrong"], "401"),
            ] {
                let url = format!("{scheme}://{}{path}", process.address);
                for attempt in 0..2 {
                    let more = [&[version], more].concat();
                    let seen = curl(folder, &url, size, &more);
                    let expected = (Some(0), status.to_owned());
                    // Guesses at the operator's password are rate limited.
                    let limited = status == "401" && seen == (Some(0), "429".to_owned());
                    assert!(
                        seen == expected || limited,
                        "{version} {scheme} {path} {size}, {attempt}: {seen:?}"
                    );
                }
            }
        }
    }
}

/// The client sends the whole body before it reads, over two and a half seconds.
#[test]
fn python_client_receives_response_to_too_large_body() {
    let folder = tempfile::tempdir().unwrap();
    let process = serve(folder.path(), "off");
    let script = format!(
        "import http.client, threading, time\n\
         def send(body):\n\
         \x20   connection = http.client.HTTPConnection({:?}, timeout=30)\n\
         \x20   connection.putrequest('POST', '/oauth/token')\n\
         \x20   connection.putheader('content-type', {FORM:?})\n\
         \x20   connection.putheader('content-length', str(len(body)))\n\
         \x20   connection.endheaders()\n\
         \x20   for start in range(0, len(body), 60000):\n\
         \x20       connection.send(body[start:start + 60000])\n\
         \x20       time.sleep(0.05)\n\
         \x20   seen.append(connection.getresponse().status)\n\
         seen = []\n\
         clients = [threading.Thread(target=send, args=(b'x' * 3000000,)) for _ in range(20)]\n\
         [client.start() for client in clients]\n\
         [client.join() for client in clients]\n\
         print(seen.count(413))\n",
        process.address
    );
    let output = command("python3").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "20\n", "{text}");
}

/// The stream is not reset while the client is still sending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_client_may_send_body_after_response() {
    let folder = tempfile::tempdir().unwrap();
    let process = serve(folder.path(), "self-signed");
    let mut client = Http2Client::connect(&process.address).await;
    for size in SIZES {
        for path in ["/nowhere", "/oauth/token"] {
            let (status, _) = client.send(request("POST", path), &vec![b'x'; size]).await.unwrap();
            assert_eq!(status, if path == "/nowhere" { 404 } else { 400 }, "{size}");
        }
    }
    // All bodies were read: the flow-control window of the connection is unchanged.
    assert_eq!(client.get("/healthz").await.0, 200);
}

/// RFC 9110 §10.1.1: a client that expects 100 receives it, or the final status immediately.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_with_expect_continue_is_answered_immediately() {
    let folder = tempfile::tempdir().unwrap();
    let process = serve(folder.path(), "off");
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: 19\r\n\
             expect: 100-continue\r\n\r\n"
        )
    };
    let mut wire = RawConnection::connect(&process.address).await;
    let started = Instant::now();
    assert_eq!(wire.ask(head("/oauth/token").as_bytes()).await.status, 100);
    assert_eq!(wire.ask(b"grant_type=password").await.status, 401);
    assert_eq!(wire.ask(head("/nowhere").as_bytes()).await.status, 404);
    assert!(started.elapsed() < Duration::from_millis(1900), "{:?}", started.elapsed());
    // The server cannot know whether the body follows.
    let _ = wire.stream.write_all(b"grant_type=password").await;
    assert_eq!(wire.rest(Duration::from_secs(30)).await, "");
}

/// The client sends its body without waiting for 100, and reads only afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn response_to_body_sent_despite_expect_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let process = serve(folder.path(), "off");
    let mut wire = RawConnection::connect(&process.address).await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\
                expect: 100-continue\r\n\r\n";
    wire.stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        wire.stream.write_all(&[b'x'; 100_000]).await.unwrap();
    }
    assert_eq!(wire.reply().await.unwrap().status, 404);
}

/// nginx announces the body of the original request in a subrequest of `auth_request` and sends
/// none, unless its configuration says otherwise. RFC 9110 §9.3.1: a body in a GET request "might
/// lead some implementations to reject the request and close the connection".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announced_body_of_get_request_is_not_awaited() {
    let folder = tempfile::tempdir().unwrap();
    let process = serve(folder.path(), "off");
    let mut wire = RawConnection::connect(&process.address).await;
    let started = Instant::now();
    let head = b"GET /oauth/verify HTTP/1.1\r\nhost: x\r\ncontent-length: 180000\r\n\r\n";
    wire.stream.write_all(head).await.unwrap();
    let answer = wire.rest(Duration::from_secs(30)).await;
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && answer.contains("connection: close"),
        "{answer}"
    );
    assert!(started.elapsed() < Duration::from_millis(1900), "{:?}", started.elapsed());
    // A body that arrived with the head is no reason to close the connection.
    let mut wire = RawConnection::connect(&process.address).await;
    let chunked = "GET /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    for _ in 0..2 {
        assert_eq!(wire.ask(chunked.as_bytes()).await.status, 200);
    }
}
