//! Logins, compared with the bare hash rate of the same crate and parameters on the same core.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::Plan;
use crate::closed_loop::{self, Measured, Script};
use crate::cores;
use crate::report::{Row, Target};
use crate::server::{PASSWORD, Server, Store};

/// Number of connections that keeps the hashing thread busy without a long queue.
const CONNECTIONS: usize = 4;

pub fn measure(plan: Plan) -> Result<Row> {
    let store = Store::new()?;
    let server = Server::sentinel(store.folder.path())?;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        ours.push(round(server.address, &store, plan.time)?);
        baseline.push(hash_rate(plan.time)?);
    }
    Ok(Row::speed(
        "logins vs. the bare hash rate with kept memory",
        Target::AtLeast(0.95),
        &ours,
        &baseline,
    ))
}

fn round(address: SocketAddr, store: &Store, time: Duration) -> Result<Measured> {
    let scripts = (0..CONNECTIONS).map(|_| Login::of(store));
    Ok(closed_loop::run(address, scripts, time)?.0)
}

/// Measures a loop that only hashes.
fn hash_rate(time: Duration) -> Result<Measured> {
    let thread = std::thread::spawn(move || -> Result<Measured> {
        cores::pin_to_server_core()?;
        let params = Params::new(19456, 2, 1, None).map_err(|error| anyhow!("{error}"))?;
        let mut memory = vec![Block::default(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut times = Vec::new();
        let begin = Instant::now();
        while begin.elapsed() < time {
            let start = Instant::now();
            let mut hash = [0; 32];
            argon2
                .hash_password_into_with_memory(
                    PASSWORD.as_bytes(),
                    &[7; 16],
                    &mut hash,
                    &mut memory,
                )
                .map_err(|error| anyhow!("{error}"))?;
            std::hint::black_box(hash);
            times.push(start.elapsed());
        }
        Ok(Measured::of(times, begin.elapsed()))
    });
    thread.join().ok().context("the hashing thread panicked")?
}

/// Logs in repeatedly.
pub struct Login {
    request: String,
}

impl Login {
    pub fn of(store: &Store) -> Self {
        let body = format!(
            "grant_type=password&client_id={}&username=ada&password={}",
            store.app,
            PASSWORD.replace(' ', "+")
        );
        Self { request: token_request(&body) }
    }
}

pub fn token_request(body: &str) -> String {
    format!(
        "POST /oauth/token HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Script for Login {
    fn write_request(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.request.as_bytes());
    }

    fn check_response(&mut self, status: u16, _: &[u8]) -> Result<()> {
        ensure!(status == 200, "{status}: no token");
        Ok(())
    }
}
