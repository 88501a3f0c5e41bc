//! Closed-loop load: each connection sends its next request as soon as it has a response.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Requests of one connection, and the checks of their responses.
pub trait Script: 'static {
    /// Appends the next request.
    fn write_request(&mut self, out: &mut Vec<u8>);

    /// Checks a response. An error ends the measurement.
    fn check_response(&mut self, status: u16, body: &[u8]) -> Result<()>;
}

/// Result of a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Measured {
    pub fn of(mut times: Vec<Duration>, elapsed: Duration) -> Self {
        times.sort_unstable();
        let at = |part: f64| {
            let index = (times.len() as f64 * part) as usize;
            times.get(index).or(times.last()).copied().unwrap_or_default()
        };
        let per_second = times.len() as f64 / elapsed.as_secs_f64();
        Self { per_second, p50: at(0.5), p99: at(0.99) }
    }
}

/// Runs each script on its own connection for `time`, after a warm-up of a tenth of it.
///
/// The thread never sleeps: the server's responses would have to wake this core up, which on a
/// virtual
/// machine takes longer than the responses themselves.
pub fn run<S: Script>(
    address: SocketAddr,
    scripts: impl IntoIterator<Item = S>,
    time: Duration,
) -> Result<(Measured, Vec<S>)> {
    run_with(address, scripts, time, true)
}

/// Runs scripts as [`run`] does, but sleeps when idle: for load during another measurement.
pub fn run_in_background<S: Script>(
    address: SocketAddr,
    scripts: impl IntoIterator<Item = S>,
    time: Duration,
) -> Result<(Measured, Vec<S>)> {
    run_with(address, scripts, time, false)
}

fn run_with<S: Script>(
    address: SocketAddr,
    scripts: impl IntoIterator<Item = S>,
    time: Duration,
    awake: bool,
) -> Result<(Measured, Vec<S>)> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().event_interval(8).build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let spinning = tokio::task::spawn_local(async move {
            if awake {
                loop {
                    tokio::task::yield_now().await;
                }
            }
        });
        let begin = Instant::now() + time / 10;
        let end = begin + time;
        let tasks: Vec<_> = scripts
            .into_iter()
            .map(|script| tokio::task::spawn_local(run_connection(address, script, begin, end)))
            .collect();
        let (mut times, mut scripts) = (Vec::new(), Vec::new());
        for task in tasks {
            let (some, script) = task.await??;
            times.extend(some);
            scripts.push(script);
        }
        spinning.abort();
        Ok((Measured::of(times, time), scripts))
    })
}

async fn run_connection<S: Script>(
    address: SocketAddr,
    mut script: S,
    begin: Instant,
    end: Instant,
) -> Result<(Vec<Duration>, S)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut times = Vec::new();
    let (mut out, mut buffer) = (Vec::new(), Vec::new());
    loop {
        out.clear();
        script.write_request(&mut out);
        let sent = Instant::now();
        stream.write_all(&out).await?;
        buffer.clear();
        let (status, body) = loop {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed the connection");
            if let Some(response) = parse(&buffer)? {
                break response;
            }
        };
        let answered = Instant::now();
        script.check_response(status, body)?;
        if answered >= end {
            return Ok((times, script));
        }
        if sent >= begin {
            times.push(answered - sent);
        }
    }
}

/// Parses a response. Returns `None` until it is complete.
pub fn parse(buffer: &[u8]) -> Result<Option<(u16, &[u8])>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(buffer)? else { return Ok(None) };
    let status = response.code.context("no status")?;
    let length =
        response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length: usize = match length {
        Some(header) => std::str::from_utf8(header.value)?.parse()?,
        None => bail!("the response has no Content-Length"),
    };
    Ok(buffer.get(head..head + length).map(|body| (status, body)))
}
