//! Introspection and verify, compared with bare handlers of the HTTP framework.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rand::RngExt as _;

use crate::Plan;
use crate::baseline::Kind;
use crate::closed_loop::{self, Measured, Script};
use crate::growth::fill;
use crate::report::{Row, Target};
use crate::server::{Server, Store};

const CONNECTIONS: usize = 64;

pub fn introspection(plan: Plan) -> Result<Row> {
    let store = Store::new()?;
    let tokens = fill(&store, 1000)?;
    let server = Server::sentinel(store.folder.path())?;
    let script = || Introspect::of(&store, &tokens);
    let body = fetch_body(&server, script())?;
    let baseline = Server::baseline(Kind::Introspection, &body)?;
    let (ours, theirs) = compare(plan, (&server, script), (&baseline, script))?;
    let what = "introspection vs. a bare handler that answers the same bytes";
    Ok(Row::speed(what, Target::AtLeast(0.65), &ours, &theirs))
}

pub fn verify(plan: Plan) -> Result<Row> {
    let store = Store::new()?;
    let tokens = fill(&store, 1000)?;
    let server = Server::sentinel(store.folder.path())?;
    let script = || Verify { tokens: Rc::new(tokens.clone()) };
    let headers = verify_headers(&server, &tokens)?;
    let baseline = Server::baseline(Kind::Verify, &headers)?;
    let (ours, theirs) = compare(plan, (&server, script), (&baseline, script))?;
    let what = "verify vs. a bare handler with the same answer";
    Ok(Row::speed(what, Target::AtLeast(0.65), &ours, &theirs))
}

/// Runs alternating rounds of the same load on two servers, and returns the rounds of each.
pub fn compare<S: Script>(
    plan: Plan,
    (first, first_script): (&Server, impl Fn() -> S),
    (second, second_script): (&Server, impl Fn() -> S),
) -> Result<(Vec<Measured>, Vec<Measured>)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        ours.push(round(first, &first_script, plan)?);
        theirs.push(round(second, &second_script, plan)?);
    }
    Ok((ours, theirs))
}

/// Runs a round, and repeats it until the server's core is busy: otherwise, the load generator
/// would be
/// the bottleneck.
fn round<S: Script>(server: &Server, script: &impl Fn() -> S, plan: Plan) -> Result<Measured> {
    let time = plan.time;
    for _ in 0..5 {
        let before = server.processor_time()?;
        let scripts: Vec<_> = (0..CONNECTIONS).map(|_| script()).collect();
        let (measured, _) = closed_loop::run(server.address, scripts, time)?;
        let busy =
            (server.processor_time()? - before).as_secs_f64() / time.mul_f64(1.1).as_secs_f64();
        eprintln!("  {:>8.0}/s, the server's core {:.0} % busy", measured.per_second, busy * 100.0);
        if busy > plan.busy {
            return Ok(measured);
        }
    }
    bail!("the load does not keep the server busy")
}

/// Introspects random tokens.
pub struct Introspect {
    head: String,
    tokens: Rc<Vec<String>>,
}

impl Introspect {
    pub fn of(store: &Store, tokens: &[String]) -> Self {
        let length = "token=".len() + tokens.first().map_or(0, String::len);
        let head = format!(
            "POST /oauth/introspect HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\ntoken=",
            store.api_basic
        );
        Self { head, tokens: Rc::new(tokens.to_vec()) }
    }
}

impl Script for Introspect {
    fn write_request(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(random(&self.tokens).as_bytes());
    }

    fn check_response(&mut self, status: u16, body: &[u8]) -> Result<()> {
        ensure!(status == 200 && body.starts_with(b"{\"active\":true"), "{status}: not active");
        Ok(())
    }
}

struct Verify {
    tokens: Rc<Vec<String>>,
}

impl Script for Verify {
    fn write_request(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"GET /oauth/verify HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ",
        );
        out.extend_from_slice(random(&self.tokens).as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
    }

    fn check_response(&mut self, status: u16, _: &[u8]) -> Result<()> {
        ensure!(status == 200, "{status}: not verified");
        Ok(())
    }
}

fn random(tokens: &[String]) -> &str {
    tokens.get(rand::rng().random_range(0..tokens.len())).map_or("", String::as_str)
}

/// Sends one request and returns the body of its response.
pub fn fetch_body<S: Script>(server: &Server, mut script: S) -> Result<String> {
    let mut request = Vec::new();
    script.write_request(&mut request);
    let raw = exchange(server, &request)?;
    let (_, body) = closed_loop::parse(&raw)?.context("no response")?;
    Ok(String::from_utf8(body.to_vec())?)
}

/// Returns the headers of one verify response as lines, without those that the framework adds.
fn verify_headers(server: &Server, tokens: &[String]) -> Result<String> {
    let mut request = Vec::new();
    Verify { tokens: Rc::new(tokens.to_vec()) }.write_request(&mut request);
    let raw = String::from_utf8(exchange(server, &request)?)?;
    let lines =
        raw.lines().filter(|line| line.starts_with("x-auth-") || line.starts_with("cache-control"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

pub fn exchange(server: &Server, request: &[u8]) -> Result<Vec<u8>> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request)?;
    let mut raw = Vec::new();
    while closed_loop::parse(&raw)?.is_none() {
        let mut some = [0; 4096];
        let count = stream.read(&mut some)?;
        ensure!(count > 0, "the server closed the connection");
        raw.extend(some.iter().take(count));
    }
    Ok(raw)
}
