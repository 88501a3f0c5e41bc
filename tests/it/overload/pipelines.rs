//! Clients that pipeline requests (RFC 9112 §9.3.2), or disconnect before the response.

use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::raw_connection::{PATIENCE, RawConnection, get, post, secured};
use super::target::Target;
use crate::helpers::{Process, all};

/// Fields of a login attempt for an unknown user. Each number gives another wrong password, since
/// a repeated one is counted once.
fn guess_fields(client: &str, number: u32) -> [(&str, String); 4] {
    [
        ("grant_type", "password".to_owned()),
        ("username", "nobody".to_owned()),
        ("password", format!("wrong-{number}")),
        ("client_id", client.to_owned()),
    ]
}

fn guess(target: &Target, number: u32) -> Vec<u8> {
    let fields = guess_fields(&target.peer().client, number);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    post("/oauth/token", "", &fields)
}

/// Starts a server, and returns a request that it delays because earlier attempts failed.
async fn start_with_slow_request() -> (Target, Vec<u8>) {
    let settings = [("throttle.enabled", "true"), ("throttle.failures_per_user", "1")];
    let target = Target::start(&settings).await;
    let mut wire = RawConnection::connect(target.address()).await;
    for number in 0..4 {
        assert_eq!(wire.ask(&guess(&target, number)).await.status, 400);
    }
    let slow = guess(&target, 4);
    (target, slow)
}

/// Reads the response to the slow request, then those to the others.
async fn answers(wire: &mut RawConnection, others: usize) {
    let reading = async {
        assert_eq!(wire.reply().await.unwrap().status, 400);
        for number in 0..others {
            assert_eq!(wire.reply().await.unwrap().status, 200, "the one numbered {number}");
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("all are answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_pipelined_after_slow_request_are_answered() {
    let (target, guess) = start_with_slow_request().await;
    let mut wire = RawConnection::connect(target.address()).await;
    wire.stream.write_all(&[guess, get("/healthz", "").repeat(20)].concat()).await.unwrap();
    // The server's read buffer is full by now; more arrives before the first response.
    tokio::time::sleep(Duration::from_millis(100)).await;
    wire.stream.write_all(&get("/healthz", "").repeat(20)).await.unwrap();
    answers(&mut wire, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excess_pipelined_requests_do_not_cause_a_busy_loop() {
    let (target, guess) = start_with_slow_request().await;
    let mut wire = RawConnection::connect(target.address()).await;
    wire.stream.write_all(&[guess, get("/healthz", "").repeat(20)].concat()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let large = get("/healthz", &format!("x: {}\r\n", "x".repeat(4000))).repeat(40);
    let (before, begun) = (busy(target.process()), Instant::now());
    wire.stream.write_all(&large).await.unwrap();
    answers(&mut wire, 60).await;
    let (busy, took) = (busy(target.process()) - before, begun.elapsed());
    println!("busy for {busy:?} of {took:?}");
    assert!(took > Duration::from_millis(500), "it did not wait: {took:?}");
    assert!(busy < took / 4, "{busy:?} of {took:?}");
}

/// A small request takes hundreds of octets once it is parsed, and the error page is large.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_small_requests_use_bounded_memory() {
    let small = |path: &str| format!("GET {path} HTTP/1.1\r\nHost:\r\n\r\n").repeat(4000);
    let (target, guess) = start_with_slow_request().await;
    let few = [&guess[..], &get("/healthz", "").repeat(20)].concat();
    for (first, then) in [
        ([&guess[..], small("/").as_bytes()].concat(), String::new()),
        (few.clone(), small("/")),
        (few, small("/oauth/errors")),
    ] {
        let before = target.process().memory();
        let wires = all((0..100).map(|_| {
            let (address, first, then) = (target.address().to_owned(), first.clone(), then.clone());
            async move {
                let mut wire = RawConnection::connect(&address).await;
                wire.stream.write_all(&first).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
                // Octets that the server does not read stay in the kernel's buffers.
                let _ = wire.stream.try_write(then.as_bytes());
                wire
            }
        }))
        .await;
        // The slow requests are answered by then; the clients do not read the later responses.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let grown = target.process().memory().saturating_sub(before);
        println!("{} KiB for each of {} connections", (grown / wires.len()) >> 10, wires.len());
        assert!(grown < wires.len() * (128 << 10), "{grown} octets more");
    }
}

/// Requests that were sent before the client shut down its sending side are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_before_half_close_are_answered() {
    let (target, guess) = start_with_slow_request().await;
    let mut wire = RawConnection::connect(target.address()).await;
    wire.stream.write_all(&[guess, get("/healthz", "").repeat(20)].concat()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    wire.stream.write_all(&get("/healthz", "").repeat(20)).await.unwrap();
    wire.stream.shutdown().await.unwrap();
    let before = busy(target.process());
    answers(&mut wire, 40).await;
    assert_eq!(wire.rest(PATIENCE).await, "");
    let busy = busy(target.process()) - before;
    assert!(busy < Duration::from_millis(200), "{busy:?}");

    let mut wire = RawConnection::connect(target.address()).await;
    let login = target.right_login();
    let (beginning, end) = login.split_at(login.len() - 5);
    wire.stream.write_all(beginning).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    wire.stream.write_all(end).await.unwrap();
    wire.stream.shutdown().await.unwrap();
    assert_eq!(wire.reply().await.unwrap().status, 200);
}

/// A guess counts whether or not its response can be sent, and whatever was sent before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn password_guess_counts_after_client_disconnects() {
    for (tls, how) in [
        ("off", GuessMode::Alone),
        ("off", GuessMode::Continued),
        ("off", GuessMode::Behind),
        ("self-signed", GuessMode::Alone),
        ("self-signed", GuessMode::Http2),
    ] {
        let settings = [
            ("tls.mode", tls),
            ("throttle.enabled", "true"),
            ("throttle.failures_per_address", "6"),
            ("throttle.failures_per_user", "1000"),
            ("password.workers", "1"),
            ("password.memory_kib", "65536"),
            ("password.iterations", "10"),
        ];
        let target = Target::start(&settings).await;
        let client = target.peer().client.clone();
        all((0..8).map(|number| {
            let (address, guess, client) =
                (target.address().to_owned(), how.guess(&target, number), client.clone());
            async move {
                if matches!(how, GuessMode::Http2) {
                    guess_over_http2_and_cancel(&address, &client, number).await;
                } else {
                    guess_and_disconnect(address, tls == "off", guess).await;
                }
            }
        }))
        .await;
        // This login is hashed after all guesses. It is not refused, since the user has logged in
        // from here before.
        let mut wire = target.connector().connect().await;
        let begun = Instant::now();
        wire.ask(&target.right_login()).await;
        println!("they have taken {:?} more", begun.elapsed());
        let reply = wire.ask(&guess(&target, 8)).await;
        assert_eq!(reply.status, 429, "TLS: {tls}, {how:?}");
    }
}

/// Way in which the guess is sent before its client disconnects.
#[derive(Clone, Copy, Debug)]
enum GuessMode {
    Alone,
    /// With `Expect: 100-continue`.
    Continued,
    /// Pipelined behind another request.
    Behind,
    /// Over HTTP/2, with a cancelled stream.
    Http2,
}

impl GuessMode {
    fn guess(self, target: &Target, number: u32) -> Vec<u8> {
        let guess = guess(target, number);
        match self {
            Self::Alone | Self::Http2 => guess,
            Self::Continued => {
                let text = String::from_utf8(guess).unwrap();
                text.replacen("\r\n", "\r\nexpect: 100-continue\r\n", 1).into_bytes()
            }
            Self::Behind => [get("/healthz", ""), guess].concat(),
        }
    }
}

/// Resets a plain connection; drops one with TLS without `close_notify`.
async fn guess_and_disconnect(address: String, plain: bool, guess: Vec<u8>) {
    if plain {
        let stream = RawConnection::connect(&address).await.stream;
        stream.set_zero_linger().unwrap();
        send_and_drop(stream, &guess).await;
    } else {
        send_and_drop(secured(&address, b"http/1.1").await, &guess).await;
    }
}

async fn guess_over_http2_and_cancel(address: &str, client: &str, number: u32) {
    let stream = secured(address, b"h2").await;
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let head = http::Request::post("https://localhost/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(())
        .unwrap();
    let mut requests = requests.ready().await.unwrap();
    let (response, mut body) = requests.send_request(head, false).unwrap();
    let fields = guess_fields(client, number);
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    body.send_data(form.into(), true).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    body.send_reset(h2::Reason::CANCEL);
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop((response, body, requests));
    connection.abort();
}

async fn send_and_drop(mut stream: impl AsyncWrite + Unpin, guess: &[u8]) {
    stream.write_all(guess).await.unwrap();
    stream.flush().await.unwrap();
    // The server has read the guess by then, but not answered it.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Processor time of all threads except the hashing workers.
pub fn busy(process: &Process) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let stats = threads.filter_map(|thread| {
        let folder = thread.unwrap().path();
        let name = std::fs::read_to_string(folder.join("comm")).ok()?;
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        (!name.starts_with("hash-")).then_some(stat)
    });
    let ticks = stats.map(|stat| {
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
        fields.map(|field| field.parse::<u64>().unwrap()).sum::<u64>()
    });
    // USER_HZ is 100.
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
