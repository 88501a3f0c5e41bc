//! Refreshes, beside the same writes with one durable commit each.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, params};

use crate::Plan;
use crate::closed_loop::{self, Measured, Script};
use crate::cores;
use crate::logins::token_request;
use crate::report::{Row, Target};
use crate::server::{PASSWORD, Server, Store, command};

const CLIENTS: usize = 64;

pub fn measure(plan: Plan) -> Result<Row> {
    let store = Store::new()?;
    let server = Server::sentinel(store.folder.path())?;
    let mut scripts = logged_in(&store, &server)?;
    let alone = Store::new()?;
    fill_like(&store, &alone)?;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let (measured, after) = closed_loop::run(server.address, scripts, plan.time)?;
        scripts = after;
        ours.push(measured);
        baseline.push(commits(&alone.folder.path().join("data/sentinel.db"), plan.time)?);
    }
    Ok(Row::speed(
        "refreshes of 64 clients, durable, vs. the same writes with one commit each",
        Target::AtLeast(3.0),
        &ours,
        &baseline,
    ))
}

/// One session for each client.
fn logged_in(store: &Store, server: &Server) -> Result<Vec<Refresh>> {
    let body = format!(
        "grant_type=password&client_id={}&username=ada&password={}",
        store.app,
        PASSWORD.replace(' ', "+")
    );
    let first = token_request(&body);
    let scripts = (0..CLIENTS).map(|_| Refresh { app: store.app.clone(), next: first.clone() });
    // One refresh at least: the login itself is the first request of each script.
    let (_, scripts) = closed_loop::run(server.address, scripts, Duration::from_millis(500))?;
    Ok(scripts)
}

struct Refresh {
    app: String,
    next: String,
}

impl Script for Refresh {
    fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.next.as_bytes());
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<()> {
        ensure!(status == 200, "{status}: no tokens: {}", String::from_utf8_lossy(body));
        let text = std::str::from_utf8(body)?;
        let token =
            text.split_once("\"refresh_token\":\"").and_then(|(_, rest)| rest.split('"').next());
        let token = token.context("no refresh token")?;
        self.next = token_request(&format!(
            "grant_type=refresh_token&client_id={}&refresh_token={token}",
            self.app
        ));
        Ok(())
    }
}

/// As many sessions in the other store, of the size that refreshing gives them.
fn fill_like(from: &Store, to: &Store) -> Result<()> {
    let path = to.folder.path().join("data/sentinel.db");
    let connection = Connection::open(path)?;
    let other = from.folder.path().join("data/sentinel.db");
    connection.execute("ATTACH ?1 AS other", [other.to_string_lossy()])?;
    let rows = connection.execute("INSERT INTO sessions SELECT * FROM other.sessions", [])?;
    ensure!(rows == CLIENTS, "{rows} sessions");
    // The server must be able to read this file: `sentinel` checks it.
    command(to.folder.path(), &["session", "list", "--json"], "")?;
    Ok(())
}

/// What a refresh writes, as a program without a queue would: each on disk before the next.
fn commits(path: &Path, time: Duration) -> Result<Measured> {
    let path = path.to_owned();
    let thread = std::thread::spawn(move || -> Result<Measured> {
        cores::to_server()?;
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> = connection
            .prepare("SELECT id, expires_at, tokens FROM sessions")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut update = connection.prepare(
            "UPDATE sessions SET version = version + 1, expires_at = ?2, tokens = ?3 WHERE id = ?1",
        )?;
        let mut times = Vec::new();
        let begin = Instant::now();
        for (round, (id, expires_at, tokens)) in (0..).zip(rows.iter().cycle()) {
            let start = Instant::now();
            update.execute(params![id, expires_at + round, tokens])?;
            times.push(start.elapsed());
            if begin.elapsed() >= time {
                break;
            }
        }
        Ok(Measured::of(times, begin.elapsed()))
    });
    thread.join().ok().context("the writing thread panicked")?
}
