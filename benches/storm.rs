//! Introspection while logins use all processor time, compared with the same load without logins.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::growth::fill;
use crate::logins::Login;
use crate::lookups::Introspect;
use crate::report::{Row, Target};
use crate::server::{Server, Store};
use crate::{Plan, closed_loop, cores, paced};

const RATE: f64 = 2000.0;
const CONNECTIONS: usize = 16;
const LOGINS: usize = 32;

pub fn measure(plan: Plan) -> Result<Row> {
    let store = Store::new()?;
    let tokens = fill(&store, 1000)?;
    let server = Server::sentinel(store.folder.path())?;
    let scripts = || (0..CONNECTIONS).map(|_| Introspect::of(&store, &tokens));
    let (mut storm, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        idle.push(paced::run(server.address, scripts(), RATE, plan.time)?);
        let logins = start_logins(&store, &server, plan.time + Duration::from_secs(1));
        // Waits until the logins saturate the core.
        std::thread::park_timeout(Duration::from_millis(500));
        storm.push(paced::run(server.address, scripts(), RATE, plan.time)?);
        let logins = logins.join().ok().context("the logins panicked")??;
        eprintln!("  {logins:.0} logins/s");
        ensure!(logins > 10.0, "too few logins to saturate the core");
    }
    let what = "p99 of introspection during a storm of logins vs. without";
    Ok(Row::p99(what, Target::AtMost(3.0), &storm, &idle))
}

fn start_logins(
    store: &Store,
    server: &Server,
    time: Duration,
) -> std::thread::JoinHandle<Result<f64>> {
    let scripts: Vec<_> = (0..LOGINS).map(|_| Login::of(store)).collect();
    let address = server.address;
    std::thread::spawn(move || {
        cores::pin_to_load_core()?;
        Ok(closed_loop::run_in_background(address, scripts, time)?.0.per_second)
    })
}
