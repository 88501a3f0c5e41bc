//! `make bench`: compares Sentinel with baselines.
//!
//! Each measurement alternates rounds with its baseline in the same run. The result is the median
//! of the
//! ratios, so that the speed of the machine and other load cancel out. The servers run on one
//! processor
//! core and the load generator on another, so that neither takes time from the other. `--write
//! FILE`
//! writes the table of `docs/benchmarks.md`.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout, clippy::print_stderr)]

mod baseline;
mod closed_loop;
mod connections;
mod cores;
mod footprint;
mod growth;
mod logins;
mod lookups;
mod paced;
mod refreshes;
mod report;
mod server;
mod shared;
mod storm;
#[path = "../tests/it/helpers/tls.rs"]
mod tls;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use report::{Report, Row};

#[derive(Parser)]
#[command(about = "Compares Sentinel with baselines, in one run on one machine.")]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Runs only measurements whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Rounds of each measurement.
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// Seconds of each round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Sessions in the large store.
    #[arg(long, default_value_t = 5_000_000)]
    sessions: usize,
    /// Also writes the table to this file.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Argument that `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Part {
    /// Runs a baseline server.
    #[command(hide = true)]
    Baseline {
        kind: baseline::Kind,
        /// Body of its responses.
        #[arg(default_value = "")]
        body: String,
    },
}

/// Number, duration and requirements of rounds.
#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    time: Duration,
    sessions: usize,
    /// Minimum share of its core that a server uses in a valid round.
    busy: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Baseline { kind, body }) = arguments.part {
        return baseline::serve(kind, body);
    }
    let plan = Plan {
        rounds: arguments.rounds,
        time: Duration::from_secs_f64(arguments.seconds),
        sessions: arguments.sessions,
        busy: 0.9,
    };
    cores::pin_to_load_core()?;
    type Measure = fn(Plan) -> Result<Row>;
    let all: [(&str, Measure); 18] = [
        ("introspection", lookups::introspection),
        ("redis", shared::introspection),
        ("verify", lookups::verify),
        ("logins", logins::measure),
        ("refresh", refreshes::measure),
        ("storm", storm::measure),
        ("growth", growth::measure),
        ("new-connections", connections::new_plain),
        ("new-tls-connections", connections::new_tls),
        ("http2-streams", connections::http2_streams),
        ("reused-tls", connections::reused_tls),
        ("reused-http2", connections::reused_http2),
        ("first-tls", connections::first_tls),
        ("first-http2", connections::first_http2),
        ("start", footprint::start),
        ("idle", footprint::idle),
        ("memory", footprint::after_tokens),
        ("binary", footprint::binary),
    ];
    let mut report = Report::default();
    for (name, measure) in all {
        if arguments.only.as_deref().is_none_or(|only| name.contains(only)) {
            eprintln!("{name} …");
            let row = measure(plan)?;
            eprintln!("{}", row.line());
            report.add(row);
        }
    }
    let text = report.render(&plan);
    println!("\n{text}");
    if let Some(path) = arguments.write {
        std::fs::write(path, text)?;
    }
    Ok(())
}
