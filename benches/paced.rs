//! Open-loop load: requests at a fixed rate. The time that a request waits to be sent counts.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::closed_loop::{Measured, Script, parse};

struct Connection<S> {
    stream: TcpStream,
    script: S,
    buffer: Vec<u8>,
    /// Time at which the request in progress was due.
    due: Option<Instant>,
}

/// Sends `rate` requests per second for `time`, on one connection for each script. Latency is
/// measured
/// from the time at which a request was due, so that stalls of the server count ("coordinated
/// omission").
///
/// The thread never sleeps, because waking up would add to the latency.
pub fn run<S: Script>(
    address: SocketAddr,
    scripts: impl IntoIterator<Item = S>,
    rate: f64,
    time: Duration,
) -> Result<Measured> {
    let mut connections = Vec::new();
    for script in scripts {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        connections.push(Connection { stream, script, buffer: Vec::new(), due: None });
    }
    let interval = Duration::from_secs_f64(1.0 / rate);
    let begin = Instant::now();
    let end = begin + time;
    let (mut next, mut waiting, mut times) = (begin, VecDeque::new(), Vec::new());
    while next < end || !waiting.is_empty() || connections.iter().any(|one| one.due.is_some()) {
        let now = Instant::now();
        ensure!(now < end + Duration::from_secs(30), "the server stopped responding");
        while next <= now && next < end {
            waiting.push_back(next);
            next += interval;
        }
        for connection in &mut connections {
            if connection.due.is_none()
                && let Some(due) = waiting.pop_front()
            {
                connection.send(due)?;
            }
            if let Some(latency) = connection.receive()? {
                times.push(latency);
            }
        }
    }
    Ok(Measured::of(times, begin.elapsed()))
}

impl<S: Script> Connection<S> {
    fn send(&mut self, due: Instant) -> Result<()> {
        let mut request = Vec::new();
        self.script.write_request(&mut request);
        // The send buffer is empty, so a small request is written at once.
        self.stream.write_all(&request)?;
        self.due = Some(due);
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<Duration>> {
        let Some(due) = self.due else { return Ok(None) };
        let mut some = [0; 4096];
        let count = match self.stream.read(&mut some) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            other => other?,
        };
        ensure!(count > 0, "the server closed the connection");
        self.buffer.extend(some.iter().take(count));
        let Some((status, body)) = parse(&self.buffer)? else { return Ok(None) };
        let latency = due.elapsed();
        self.script.check_response(status, body)?;
        self.buffer.clear();
        self.due = None;
        Ok(Some(latency))
    }
}
