//! Introspection and verify, beside the HTTP framework alone.

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
    let body = answer(&server, script())?;
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

/// Alternating rounds of the same load on two servers; the rounds of each.
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

/// A round in which the server's core was busy; in another one the load would be what is measured.
fn round<S: Script>(server: &Server, script: &impl Fn() -> S, plan: Plan) -> Result<Measured> {
    let time = plan.time;
    for _ in 0..5 {
        let before = server.used()?;
        let scripts: Vec<_> = (0..CONNECTIONS).map(|_| script()).collect();
        let (measured, _) = closed_loop::run(server.address, scripts, time)?;
        let busy = (server.used()? - before).as_secs_f64() / time.mul_f64(1.1).as_secs_f64();
        eprintln!("  {:>8.0}/s, the server's core {:.0} % busy", measured.per_second, busy * 100.0);
        if busy > plan.busy {
            return Ok(measured);
        }
    }
    bail!("the load does not keep the server busy")
}

/// Asks for random ones of the tokens.
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
    fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(random(&self.tokens).as_bytes());
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<()> {
        ensure!(status == 200 && body.starts_with(b"{\"active\":true"), "{status}: not active");
        Ok(())
    }
}

struct Verify {
    tokens: Rc<Vec<String>>,
}

impl Script for Verify {
    fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"GET /oauth/verify HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ",
        );
        out.extend_from_slice(random(&self.tokens).as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
    }

    fn hear(&mut self, status: u16, _: &[u8]) -> Result<()> {
        ensure!(status == 204, "{status}: not verified");
        Ok(())
    }
}

fn random(tokens: &[String]) -> &str {
    tokens.get(rand::rng().random_range(0..tokens.len())).map_or("", String::as_str)
}

/// The body of one answer.
pub fn answer<S: Script>(server: &Server, mut script: S) -> Result<String> {
    let mut request = Vec::new();
    script.ask(&mut request);
    let raw = exchange(server, &request)?;
    let (_, body) = closed_loop::parse(&raw)?.context("no answer")?;
    Ok(String::from_utf8(body.to_vec())?)
}

/// The headers of one answer of verify, as lines, without those that the framework adds.
fn verify_headers(server: &Server, tokens: &[String]) -> Result<String> {
    let mut request = Vec::new();
    Verify { tokens: Rc::new(tokens.to_vec()) }.ask(&mut request);
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
        ensure!(count > 0, "the server hung up");
        raw.extend(some.iter().take(count));
    }
    Ok(raw)
}
