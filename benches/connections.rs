//! New connections, TLS and HTTP/2, compared with a bare actix-web `HttpServer`.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use anyhow::{Context, Result, ensure};
use h2::client::SendRequest;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsConnector;

use crate::Plan;
use crate::baseline::Kind;
use crate::closed_loop::{Measured, parse};
use crate::growth::fill;
use crate::report::{Row, Target};
use crate::server::{Server, Store};
use crate::tls::trust_any_certificate;

const PER_CONNECTION: usize = 10;
const CONNECTIONS: usize = 16;
const STREAMS: usize = 32;

/// Protocol of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Plain,
    Tls,
    Http2,
}

/// Sentinel and a bare handler with the same responses, over one protocol.
struct Pair {
    ours: Server,
    bare: Server,
    request: Request,
    _store: Store,
}

impl Pair {
    fn start(protocol: Protocol, path: &'static str) -> Result<Self> {
        let store = Store::new()?;
        let token = fill(&store, 1)?.pop().context("no token")?;
        let tls = if protocol == Protocol::Plain { "off" } else { "self-signed" };
        let ours =
            Server::sentinel_with(store.folder.path(), &["--set", &format!("tls.mode={tls}")])?;
        let request = match path {
            INTROSPECTION => {
                let authorization = format!("authorization: {}\r\n", store.api_basic);
                Request { path, authorization, body: format!("token={token}") }
            }
            _ => Request { path, authorization: String::new(), body: String::new() },
        };
        let body = block_on(async {
            let mut connection = Connection::open(ours.address, protocol).await?;
            connection.ask(&request).await
        })?;
        let kind =
            if protocol == Protocol::Plain { Kind::Introspection } else { Kind::TlsIntrospection };
        let bare = Server::baseline(kind, &body)?;
        Ok(Self { ours, bare, request, _store: store })
    }

    /// Runs alternating rounds of a load on both servers.
    fn compare(
        &self,
        plan: Plan,
        load: &impl AsyncFn(SocketAddr, &Request, Duration) -> Result<Vec<Duration>>,
    ) -> Result<(Vec<Measured>, Vec<Measured>)> {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            for (server, rounds) in [(&self.ours, &mut ours), (&self.bare, &mut bare)] {
                let begin = Instant::now();
                let times = block_on(load(server.address, &self.request, plan.time))?;
                rounds.push(Measured::of(times, begin.elapsed()));
            }
        }
        Ok((ours, bare))
    }
}

fn block_on<T>(load: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, load)
}

pub fn new_plain(plan: Plan) -> Result<Row> {
    new_connections(plan, Protocol::Plain, "GET /healthz on new connections, ten each")
}

pub fn new_tls(plan: Plan) -> Result<Row> {
    new_connections(plan, Protocol::Tls, "GET /healthz on new TLS connections, ten each")
}

fn new_connections(plan: Plan, protocol: Protocol, what: &str) -> Result<Row> {
    let pair = Pair::start(protocol, HEALTH)?;
    let (ours, bare) = pair.compare(plan, &async |address, request, time| {
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let request = request.clone();
                spawn_local(
                    async move { request_ten_each(address, protocol, &request, time).await },
                )
            })
            .collect();
        join_all(tasks).await
    })?;
    Ok(Row::speed(&format!("{what}, vs. a bare HttpServer"), Target::AtLeast(0.85), &ours, &bare))
}

async fn request_ten_each(
    address: SocketAddr,
    protocol: Protocol,
    request: &Request,
    time: Duration,
) -> Result<Vec<Duration>> {
    let end = Instant::now() + time;
    let mut times = Vec::new();
    while Instant::now() < end {
        let mut connection = Connection::open(address, protocol).await?;
        for _ in 0..PER_CONNECTION {
            times.push(connection.timed(request).await?);
        }
    }
    Ok(times)
}

async fn join_all(
    tasks: Vec<tokio::task::JoinHandle<Result<Vec<Duration>>>>,
) -> Result<Vec<Duration>> {
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

/// Measures introspection over one HTTP/2 connection with 32 requests in progress.
pub fn http2_streams(plan: Plan) -> Result<Row> {
    let pair = Pair::start(Protocol::Http2, INTROSPECTION)?;
    let (ours, bare) = pair.compare(plan, &async |address, request, time| {
        let Connection::Http2(requests) = Connection::open(address, Protocol::Http2).await? else {
            anyhow::bail!("not HTTP/2")
        };
        let end = Instant::now() + time;
        let tasks: Vec<_> = (0..STREAMS)
            .map(|_| {
                let mut connection = Connection::Http2(requests.clone());
                let request = request.clone();
                spawn_local(async move {
                    let mut times = Vec::new();
                    while Instant::now() < end {
                        times.push(connection.timed(&request).await?);
                    }
                    Ok(times)
                })
            })
            .collect();
        join_all(tasks).await
    })?;
    let what = "introspection over HTTP/2, 32 streams, vs. a bare HttpServer";
    Ok(Row::speed(what, Target::AtLeast(0.65), &ours, &bare))
}

/// Compares the p99 of sequential requests on a TLS connection and on a plain one.
pub fn reused_tls(plan: Plan) -> Result<Row> {
    reused(plan, Protocol::Tls, "p99 of sequential requests on a TLS connection vs. a plain one")
}

pub fn reused_http2(plan: Plan) -> Result<Row> {
    reused(plan, Protocol::Http2, "p99 of sequential HTTP/2 requests vs. plain HTTP/1.1")
}

fn reused(plan: Plan, protocol: Protocol, what: &str) -> Result<Row> {
    let (secured, plain) =
        (Pair::start(protocol, INTROSPECTION)?, Pair::start(Protocol::Plain, INTROSPECTION)?);
    let sequential = |pair: &Pair, protocol| -> Result<Measured> {
        let times = block_on(async {
            let mut connection = Connection::open(pair.ours.address, protocol).await?;
            let (begin, mut times) = (Instant::now(), Vec::new());
            while begin.elapsed() < plan.time {
                times.push(connection.timed(&pair.request).await?);
            }
            Ok(times)
        })?;
        Ok(Measured::of(times, plan.time))
    };
    let (mut over, mut without) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        over.push(sequential(&secured, protocol)?);
        without.push(sequential(&plain, Protocol::Plain)?);
    }
    Ok(Row::p99(what, Target::AtMost(1.3), &over, &without))
}

/// Compares the time from connecting to the first response: over TLS, and over a plain connection
/// plus a handshake.
pub fn first_tls(plan: Plan) -> Result<Row> {
    first(
        plan,
        Protocol::Tls,
        "p99 of the first request of a TLS connection vs. plain and handshake",
    )
}

pub fn first_http2(plan: Plan) -> Result<Row> {
    first(plan, Protocol::Http2, "p99 of the first HTTP/2 request vs. plain and handshake")
}

fn first(plan: Plan, protocol: Protocol, what: &str) -> Result<Row> {
    let (secured, plain) =
        (Pair::start(protocol, INTROSPECTION)?, Pair::start(Protocol::Plain, INTROSPECTION)?);
    let (mut over, mut without) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        block_on(async {
            let begin = Instant::now();
            while begin.elapsed() < plan.time {
                let started = Instant::now();
                let mut connection = Connection::open(secured.ours.address, protocol).await?;
                let handshake = started.elapsed();
                connection.ask(&secured.request).await?;
                whole.push(started.elapsed());
                let started = Instant::now();
                let mut connection = Connection::open(plain.ours.address, Protocol::Plain).await?;
                connection.ask(&plain.request).await?;
                parts.push(started.elapsed() + handshake);
            }
            Ok(())
        })?;
        over.push(Measured::of(whole, plan.time));
        without.push(Measured::of(parts, plan.time));
    }
    Ok(Row::p99(what, Target::AtMost(1.3), &over, &without))
}

const INTROSPECTION: &str = "/oauth/introspect";
const HEALTH: &str = "/healthz";

/// A GET request, or a POST request if it has a body.
#[derive(Clone)]
struct Request {
    path: &'static str,
    /// Header line, or an empty string.
    authorization: String,
    body: String,
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

enum Connection {
    Http1(Box<dyn Stream>),
    Http2(SendRequest<Bytes>),
}

impl Connection {
    async fn open(address: SocketAddr, protocol: Protocol) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if protocol == Protocol::Plain {
            return Ok(Self::Http1(Box::new(stream)));
        }
        thread_local! {
            static CLIENTS: [Arc<ClientConfig>; 2] = [b"http/1.1".as_slice(), b"h2"].map(client_config);
        }
        let config = CLIENTS.with(|[http1, http2]| {
            Arc::clone(if protocol == Protocol::Http2 { http2 } else { http1 })
        });
        let stream = TlsConnector::from(config).connect("localhost".try_into()?, stream).await?;
        if protocol == Protocol::Tls {
            return Ok(Self::Http1(Box::new(stream)));
        }
        let (requests, connection) = h2::client::handshake(stream).await?;
        spawn_local(connection);
        Ok(Self::Http2(requests))
    }

    async fn timed(&mut self, request: &Request) -> Result<Duration> {
        let started = Instant::now();
        self.ask(request).await?;
        Ok(started.elapsed())
    }

    /// Sends a request and returns the body of its response.
    async fn ask(&mut self, request: &Request) -> Result<String> {
        let (status, body) = match self {
            Self::Http1(stream) => http1(stream, request).await?,
            Self::Http2(requests) => http2(requests, request).await?,
        };
        let is_expected = body.starts_with("{\"active\":true") || request.path == HEALTH;
        ensure!(status == 200 && is_expected, "{status}: {body}");
        Ok(body)
    }
}

/// TLS client that does not resume sessions and accepts any certificate.
fn client_config(protocol: &[u8]) -> Arc<ClientConfig> {
    let mut config = Arc::unwrap_or_clone(trust_any_certificate(&[protocol]));
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

async fn http1(stream: &mut (dyn Stream + 'static), request: &Request) -> Result<(u16, String)> {
    let Request { path, authorization, body } = request;
    let text = if body.is_empty() {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
    } else {
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\n{authorization}\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    let mut buffer = Vec::with_capacity(1024);
    loop {
        if let Some((status, body)) = parse(&buffer)? {
            return Ok((status, String::from_utf8(body.to_vec())?));
        }
        ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed the connection");
    }
}

async fn http2(requests: &mut SendRequest<Bytes>, request: &Request) -> Result<(u16, String)> {
    poll_fn(|context| requests.poll_ready(context)).await?;
    let authorization = request.authorization.trim_start_matches("authorization: ").trim_end();
    let head = http::Request::post(format!("https://localhost{}", request.path))
        .header("authorization", authorization)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(())?;
    let (response, mut stream) = requests.send_request(head, false)?;
    stream.send_data(Bytes::copy_from_slice(request.body.as_bytes()), true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut text = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        text.extend_from_slice(&chunk);
    }
    Ok((head.status.as_u16(), String::from_utf8(text)?))
}
