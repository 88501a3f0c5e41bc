//! Refreshes, compared with the same writes with one durable commit each.

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
    let mut scripts = log_in_clients(&store, &server)?;
    let alone = Store::new()?;
    copy_sessions(&store, &alone)?;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let (measured, after) = closed_loop::run(server.address, scripts, plan.time)?;
        scripts = after;
        ours.push(measured);
        baseline.push(commit_one_by_one(&alone.folder.path().join("data/sentinel.db"), plan.time)?);
    }
    Ok(Row::speed(
        "refreshes of 64 clients, durable, vs. the same writes with one commit each",
        Target::AtLeast(3.0),
        &ours,
        &baseline,
    ))
}

/// Starts one session for each client.
fn log_in_clients(store: &Store, server: &Server) -> Result<Vec<Refresh>> {
    let body = format!(
        "grant_type=password&client_id={}&username=ada&password={}",
        store.app,
        PASSWORD.replace(' ', "+")
    );
    let first = token_request(&body);
    let scripts = (0..CLIENTS).map(|_| Refresh { app: store.app.clone(), next: first.clone() });
    // The first request of each script is the login; at least one refresh follows.
    let (_, scripts) = closed_loop::run(server.address, scripts, Duration::from_millis(500))?;
    Ok(scripts)
}

struct Refresh {
    app: String,
    next: String,
}

impl Script for Refresh {
    fn write_request(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.next.as_bytes());
    }

    fn check_response(&mut self, status: u16, body: &[u8]) -> Result<()> {
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

/// Copies the sessions to another store, with the size that they have after a refresh.
fn copy_sessions(from: &Store, to: &Store) -> Result<()> {
    let path = to.folder.path().join("data/sentinel.db");
    let connection = Connection::open(path)?;
    let other = from.folder.path().join("data/sentinel.db");
    connection.execute("ATTACH ?1 AS other", [other.to_string_lossy()])?;
    let rows = connection.execute("INSERT INTO sessions SELECT * FROM other.sessions", [])?;
    ensure!(rows == CLIENTS, "{rows} sessions");
    // Checks that Sentinel can read the copied rows.
    command(to.folder.path(), &["session", "list", "--json"], "")?;
    Ok(())
}

/// Writes sessions as a program without a queue of writes does: each is on disk before the next.
fn commit_one_by_one(path: &Path, time: Duration) -> Result<Measured> {
    let path = path.to_owned();
    let thread = std::thread::spawn(move || -> Result<Measured> {
        cores::pin_to_server_core()?;
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
