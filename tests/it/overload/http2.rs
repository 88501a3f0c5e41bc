//! HTTP/2 frames (RFC 9113 §4) as a malicious client sends them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::raw_connection::{PATIENCE, RawConnection, get, secured};
use crate::helpers::Process;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Maximum growth of the server's memory during an attack.
const ROOM: usize = 64 << 20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Header block of a `GET`, in HPACK literals without indexing (RFC 7541 §6.2.2).
fn get_of(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    [&[0x82, 0x87, 0x04, length], path.as_bytes(), &[0x01, 1, b'x']].concat()
}

struct Client {
    stream: TlsStream<TcpStream>,
    received: Vec<u8>,
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Client {
    async fn to(process: &Process, settings: &[u8]) -> Self {
        let stream = secured(&process.address, b"h2").await;
        let mut client = Self { stream, received: Vec::new() };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        client.send(&[&preface[..], &frame(SETTINGS, 0, 0, settings)].concat()).await;
        client
    }

    /// Sends bytes. Returns whether the server accepted them.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(PATIENCE, sending).await.expect("it is taken or refused").is_ok()
    }

    /// Returns the next frame, or `None` if the server has closed the connection.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = self.received.first_chunk::<9>() {
                let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]]));
                let (kind, end) = (head[3], 9 + length.unwrap());
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                if self.received.len() >= end {
                    let payload = self.received[9..end].to_vec();
                    self.received.drain(..end);
                    return Some(Frame { kind, stream, payload });
                }
            }
            let reading = self.stream.read_buf(&mut self.received);
            match tokio::time::timeout(PATIENCE, reading).await.expect("a frame, or the end") {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    /// Returns frames up to the first that matches, or up to the end of the connection.
    async fn until(&mut self, mut wanted: impl FnMut(&Frame) -> bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            let last = wanted(&frame);
            frames.push(frame);
            if last {
                break;
            }
        }
        frames
    }
}

fn serve(more: &[&str]) -> (tempfile::TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--set", "tls.mode=self-signed", "--set", "server.workers=1"];
    let process = Process::serve(folder.path(), &[&arguments[..], more].concat());
    (folder, process)
}

/// Asserts that another client is served and that the server's memory is bounded.
async fn assert_healthy(process: &Process, before: usize) {
    let mut other = RawConnection::new(secured(&process.address, b"http/1.1").await);
    assert_eq!(other.ask(&get("/readyz", "")).await.status, 200);
    let grown = process.memory().saturating_sub(before);
    println!("{} KiB more", grown >> 10);
    assert!(grown < ROOM, "{grown} octets more");
}

/// RFC 9113 §5.1.2: streams beyond the limit are refused, and the others are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_limit_are_refused() {
    let (_folder, process) = serve(&["--set", "server.request_timeout=2s"]);
    let before = process.memory();
    let mut client = Client::to(&process, &[]).await;
    // Logins whose bodies are never sent.
    let length = "/oauth/token".len().try_into().unwrap();
    let form = "application/x-www-form-urlencoded";
    let head = [
        &[0x83, 0x87, 0x04, length],
        b"/oauth/token".as_slice(),
        &[0x01, 1, b'x', 0x0f, 0x10, form.len().try_into().unwrap()],
        form.as_bytes(),
    ]
    .concat();
    const STREAMS: u32 = 1000;
    for index in 0..STREAMS {
        if !client.send(&frame(HEADERS, END_HEADERS, 2 * index + 1, &head)).await {
            break;
        }
    }
    client.send(&frame(PING, 0, 0, &[7; 8])).await;
    let frames = client.until(|frame| frame.kind == PING).await;
    let refused = |frame: &&Frame| frame.kind == RST_STREAM && frame.payload == [0, 0, 0, 7];
    let refused = frames.iter().filter(refused).count();
    assert_eq!(refused, STREAMS as usize - 128, "REFUSED_STREAM");
    // The accepted ones are answered when the request timeout expires.
    let mut answered = BTreeMap::new();
    while answered.len() < 128 {
        let frame = client.frame().await.expect("the connection stays");
        if frame.kind == HEADERS {
            answered.insert(frame.stream, ());
        }
    }
    assert_healthy(&process, before).await;
}

/// RFC 7541 §7.3: an index of one octet expands to a header field of four kilobytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_fields_too_large_after_decompression_are_rejected() {
    let (_folder, process) = serve(&[]);
    let before = process.memory();
    let mut client = Client::to(&process, &[]).await;
    // Adds an entry to the dynamic table; its length 3900 takes 7 bits and two octets (§5.1).
    let mut first = get_of("/healthz");
    first.extend([0x40, 1, b'a', 0x7f]);
    first.extend([0xbd, 0x1d]);
    first.extend([b'x'; 3900]);
    let mut bomb = get_of("/healthz");
    bomb.extend([0xbe; 10_000]);
    let flags = END_HEADERS | END_STREAM;
    client.send(&frame(HEADERS, flags, 1, &first)).await;
    let frames = client.until(|frame| frame.kind == HEADERS).await;
    // 200 is index 8 of the static table.
    let is_fine = |frame: &Frame| frame.kind == HEADERS && frame.payload[0] == 0x88;
    assert!(frames.last().is_some_and(is_fine), "{frames:?}");
    for index in 1..200 {
        if !client.send(&frame(HEADERS, flags, 2 * index + 1, &bomb)).await {
            break;
        }
    }
    client.send(&frame(PING, 0, 0, &[7; 8])).await;
    let frames = client.until(|frame| frame.kind == PING).await;
    assert!(!frames.iter().any(is_fine), "{frames:?}");
    // The server refuses the streams, or closes the connection. Its GOAWAY may get lost then.
    let is_refusal = |frame: &Frame| [HEADERS, RST_STREAM, GOAWAY].contains(&frame.kind);
    let is_closed = frames.iter().all(|frame| frame.kind != PING);
    assert!(is_closed || frames.iter().any(is_refusal), "{frames:?}");
    assert_healthy(&process, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_header_block_closes_the_connection() {
    let (_folder, process) = serve(&[]);
    let before = process.memory();
    let mut client = Client::to(&process, &[]).await;
    client.send(&frame(HEADERS, 0, 1, &get_of("/healthz"))).await;
    let more = frame(CONTINUATION, 0, 1, &[0x00, 1, b'a', 1, b'b'].repeat(2000));
    let mut sent = 0;
    while client.send(&more).await {
        sent += 1;
        assert!(sent < 10_000, "it takes all");
    }
    assert!(sent > 0, "it takes nothing");
    assert_healthy(&process, before).await;
}

/// CVE-2023-44487 (rapid reset).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_stream_reset_closes_the_connection() {
    let (_folder, process) = serve(&[]);
    let before = process.memory();
    let mut client = Client::to(&process, &[]).await;
    let mut stream = 1;
    loop {
        let mut batch = Vec::new();
        for _ in 0..100 {
            batch.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &get_of("/readyz")));
            batch.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            stream += 2;
        }
        if !client.send(&batch).await {
            break;
        }
        assert!(stream < 2_000_000, "it takes all");
    }
    assert!(stream > 201, "it takes nothing");
    assert_healthy(&process, before).await;
}

/// With a window of one octet, a client receives at most a kilobyte of each response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_in_one_octet_windows_use_bounded_memory() {
    let (_folder, process) = serve(&[]);
    let window_of_one = [0, 4, 0, 0, 0, 1];
    let mut clients = Vec::new();
    let before = process.memory();
    for _ in 0..40 {
        let mut client = Client::to(&process, &window_of_one).await;
        for index in 0..128 {
            let head = get_of("/oauth/errors");
            client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * index + 1, &head)).await;
        }
        clients.push(client);
    }
    // Every connection gets part of a response, even without permits left in the process.
    for client in &mut clients {
        let frames = client.until(|frame| frame.kind == DATA).await;
        assert!(frames.last().is_some_and(|frame| frame.kind == DATA), "{frames:?}");
    }
    assert_healthy(&process, before).await;
    // A well-behaved client gets its response, too.
    let mut other = Client::to(&process, &[]).await;
    other.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get_of("/readyz"))).await;
    let frames = other.until(|frame| frame.kind == HEADERS || frame.kind == RST_STREAM).await;
    assert!(frames.last().is_some_and(|frame| frame.kind == HEADERS), "{frames:?}");
}

/// Requests without end, each with many small header fields: as many as fit into a few kilobytes,
/// and as many as are allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_many_header_fields_is_released() {
    let (_folder, process) = serve(&["--set", "server.request_timeout=5s"]);
    // Warms up the server's allocator with both kinds of requests.
    attack_with_fields(&process, 2).await;
    let before = process.memory();
    attack_with_fields(&process, 36).await;
    let during = process.memory();
    println!("{} MiB before, {} MiB after the attack", before >> 20, during >> 20);
    assert!(during.saturating_sub(before) < 256 << 20, "{before} → {during}");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let grown = process.memory().saturating_sub(before);
        if grown < 8 << 20 {
            break;
        }
        assert!(Instant::now() < deadline, "{grown} octets more than before");
        // The allocator returns a thread's free memory when that thread allocates again.
        for _ in 0..4 {
            let mut probe = Client::to(&process, &[]).await;
            probe.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get_of("/readyz"))).await;
            probe.until(|frame| frame.kind == HEADERS).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn attack_with_fields(process: &Process, connections: usize) {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::to(process, &[]).await);
    }
    let refused = post_with(900);
    let allowed = post_with(90);
    for client in &mut clients {
        for index in 0..127 {
            let block = if index % 2 == 0 { &refused } else { &allowed };
            client.send(&frame(HEADERS, END_HEADERS, 2 * index + 1, block)).await;
        }
    }
    // The responses are 431, or refused streams beyond the limit of the process.
    for client in &mut clients {
        let mut ended = 0;
        client
            .until(|frame| {
                ended += usize::from([HEADERS, RST_STREAM].contains(&frame.kind));
                ended >= 64
            })
            .await;
        assert_eq!(ended, 64);
    }
}

/// Header block of a login without a body, with this many additional three-letter header fields.
fn post_with(fields: usize) -> Vec<u8> {
    let mut block = vec![0x83, 0x87, 0x04, 12];
    block.extend(b"/oauth/token");
    block.extend([0x01, 1, b'x']);
    let form = b"application/x-www-form-urlencoded";
    block.extend([0x0f, 0x10, form.len().try_into().unwrap()]);
    block.extend(form);
    for number in 0..fields {
        let letter =
            |place: usize| b'a' + u8::try_from(number / 26_usize.pow(place as u32) % 26).unwrap();
        block.extend([0x00, 3, letter(0), letter(1), letter(2), 1, b'1']);
    }
    block
}

/// With a window of zero (RFC 9113 §6.9.2), responses wait and excess streams are refused. The
/// connection of a client that ignores the limit is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_blocked_by_zero_window_are_limited() {
    let (_folder, process) = serve(&[]);
    let before = process.memory();
    let no_window = [0, 4, 0, 0, 0, 0];
    let mut client = Client::to(&process, &no_window).await;
    let ask = |index: u32| {
        let head = get_of("/oauth/errors");
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * index + 1, &head)
    };
    for index in 0..1000 {
        assert!(client.send(&ask(index)).await);
    }
    let (mut answered, mut refused) = (0, 0);
    let frames = client
        .until(|frame| {
            answered += usize::from(frame.kind == HEADERS);
            refused += usize::from(frame.kind == RST_STREAM);
            answered + refused == 1000
        })
        .await;
    assert!(frames.iter().all(|frame| frame.kind != DATA));
    assert_eq!(answered, 128);
    for index in 1000.. {
        if !client.send(&ask(index)).await {
            break;
        }
        assert!(index < 100_000, "it takes all");
    }
    assert_healthy(&process, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_reads_no_frames_gets_backpressure() {
    let (_folder, process) = serve(&[]);
    let before = process.memory();
    let mut client = Client::to(&process, &[]).await;
    let mut stream = 1;
    let mut sent = 0;
    loop {
        let mut batch = Vec::new();
        for _ in 0..1000 {
            batch.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &get_of("/readyz")));
            stream += 2;
        }
        let sending = tokio::time::timeout(Duration::from_secs(5), client.stream.write_all(&batch));
        match sending.await {
            Ok(Ok(())) => sent += batch.len(),
            _ => break,
        }
        assert!(sent < 96 << 20, "it takes {sent} octets and more");
    }
    println!("took {} KiB", sent >> 10);
    assert!(sent > 0, "it takes nothing");
    assert_healthy(&process, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_connection_preface_closes_the_connection() {
    let (_folder, process) = serve(&["--set", "server.request_timeout=1s"]);
    let stream = secured(&process.address, b"h2").await;
    let mut client = Client { stream, received: Vec::new() };
    assert!(client.send(b"PRI * HT").await);
    let frames = client.until(|_| false).await;
    assert!(frames.iter().all(|frame| [SETTINGS, GOAWAY].contains(&frame.kind)), "{frames:?}");
}
