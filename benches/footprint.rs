//! Start time, memory and size of the binary.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::closed_loop::{self, Script};
use crate::logins::token_request;
use crate::report::{Row, Target};
use crate::server::{self, Server, Store, command, text};
use crate::{Plan, cores};

const MIB: f64 = 1024.0 * 1024.0;
const TOKENS: usize = 100_000;

/// Measures the time from the start of the process to the first response.
pub fn start(plan: Plan) -> Result<Row> {
    let store = Store::new()?;
    let mut times = Vec::new();
    for _ in 0..plan.rounds.max(5) {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = std::process::Command::new(server::BINARY);
        command.current_dir(store.folder.path()).env_clear();
        command.args(["serve", "--bind", &port.to_string()]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let begin = Instant::now();
        let mut child = cores::start_on_server_core(|| Ok(command.spawn()?))?;
        let time = first_response(port, begin);
        child.kill()?;
        child.wait()?;
        times.push(time?.as_secs_f64() * 1000.0);
    }
    Ok(Row::plain("start to first answer", Target::AtMost(100.0), times, "ms"))
}

fn first_response(address: SocketAddr, begin: Instant) -> Result<Duration> {
    use std::io::{Read as _, Write as _};
    loop {
        ensure!(begin.elapsed() < Duration::from_secs(20), "no response");
        let Ok(mut stream) = TcpStream::connect(address) else {
            std::thread::park_timeout(Duration::from_micros(200));
            continue;
        };
        stream.write_all(token_request("grant_type=password").as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        ensure!(&status == b"HTTP/1.1 401", "{}", String::from_utf8_lossy(&status));
        return Ok(begin.elapsed());
    }
}

pub fn idle(_: Plan) -> Result<Row> {
    let store = Store::new()?;
    let server = Server::sentinel(store.folder.path())?;
    std::thread::park_timeout(Duration::from_millis(500));
    let memory = server.resident_memory()? as f64 / MIB;
    Ok(Row::plain("resident memory, idle", Target::AtMost(24.0), vec![memory], "MB"))
}

pub fn after_tokens(_: Plan) -> Result<Row> {
    let store = Store::new()?;
    let worker = ["client", "add", "--confidential", "--grant", "client_credentials", "--json"];
    let worker = command(store.folder.path(), &worker, "")?;
    let (id, secret) = (text(&worker, "client_id")?, text(&worker, "client_secret")?);
    let server = Server::sentinel(store.folder.path())?;
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let mut issued = 0;
    while issued < TOKENS {
        let request = token_request(&body);
        let scripts = (0..64).map(|_| ClientLogin { request: request.clone(), issued: 0 });
        let (_, scripts) = closed_loop::run(server.address, scripts, Duration::from_secs(1))?;
        issued += scripts.iter().map(|script| script.issued).sum::<usize>();
    }
    let memory = server.resident_memory()? as f64 / MIB;
    Ok(Row::plain("resident memory after 100,000 tokens", Target::AtMost(60.0), vec![memory], "MB"))
}

struct ClientLogin {
    request: String,
    issued: usize,
}

impl Script for ClientLogin {
    fn write_request(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.request.as_bytes());
    }

    fn check_response(&mut self, status: u16, _: &[u8]) -> Result<()> {
        ensure!(status == 200, "{status}: no token");
        self.issued += 1;
        Ok(())
    }
}

pub fn binary(_: Plan) -> Result<Row> {
    let size = std::fs::metadata(server::BINARY)?.len() as f64 / MIB;
    Ok(Row::plain("the release binary, stripped", Target::AtMost(24.0), vec![size], "MB"))
}
