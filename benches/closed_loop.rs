//! Load from a number of connections, each of which asks again as soon as it is answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one connection asks, and what it makes of the answers.
pub trait Script: 'static {
    /// Appends the next request.
    fn ask(&mut self, out: &mut Vec<u8>);

    /// Looks at the answer; an error ends the measurement.
    fn hear(&mut self, status: u16, body: &[u8]) -> Result<()>;
}

/// What a round came to.
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

/// Runs each script on a connection of its own for `time`, after a tenth of it to warm up.
///
/// Never sleeps: a server would otherwise have to wake this core up for its answers, which on a virtual
/// machine takes longer than the answers do.
pub fn run<S: Script>(
    address: SocketAddr,
    scripts: impl IntoIterator<Item = S>,
    time: Duration,
) -> Result<(Measured, Vec<S>)> {
    run_with(address, scripts, time, true)
}

/// The same, sleeping while there is nothing to do: for load that comes beside what is measured.
pub fn run_beside<S: Script>(
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
            .map(|script| tokio::task::spawn_local(converse(address, script, begin, end)))
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

async fn converse<S: Script>(
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
        script.ask(&mut out);
        let sent = Instant::now();
        stream.write_all(&out).await?;
        buffer.clear();
        let (status, body) = loop {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server hung up");
            if let Some(answer) = parse(&buffer)? {
                break answer;
            }
        };
        let answered = Instant::now();
        script.hear(status, body)?;
        if answered >= end {
            return Ok((times, script));
        }
        if sent >= begin {
            times.push(answered - sent);
        }
    }
}

/// The status and the body, once the answer is there.
pub fn parse(buffer: &[u8]) -> Result<Option<(u16, &[u8])>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(buffer)? else { return Ok(None) };
    let status = response.code.context("no status")?;
    let length =
        response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length: usize = match length {
        Some(header) => std::str::from_utf8(header.value)?.parse()?,
        None if status == 204 => 0,
        None => bail!("an answer without a length"),
    };
    Ok(buffer.get(head..head + length).map(|body| (status, body)))
}
