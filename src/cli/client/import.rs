//! `sentinel client import`: many clients at once, from another server or from an export.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::super::failure::Failure;
use super::super::output::{self, plain};
use super::super::{Global, files, with_log};
use super::rows::{Bad, Row, Rows};
use crate::admin::{Admin, AdminError, Imported};
use crate::app::{open_stores, open_stores_for_reading};
use crate::domain::{Clock, SystemClock};

/// Clients on their way at once: they share commits of the embedded store.
const AT_ONCE: usize = 64;

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// JSON Lines, as `client export` writes them; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only says what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What became of the lines.
#[derive(Debug, Default, Serialize)]
struct Report {
    dry_run: bool,
    read: u64,
    added: u64,
    /// In the store before; they are left as they are.
    already: u64,
    bad: Vec<Bad>,
    /// How many secrets are short enough to be guessed.
    #[serde(skip)]
    short: u64,
}

impl Import {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        let (reader, _) = files::open(&self.file)?;
        let mut rows = Rows::new(reader.buffered());
        let mut report = with_log(&settings, async || {
            let stores = if self.dry_run {
                open_stores_for_reading(&settings).await?
            } else {
                Some(open_stores(&settings).await?)
            };
            let admin = stores.map(|stores| Admin::new(stores, Arc::new(SystemClock)));
            self.take(admin.as_ref(), &mut rows).await
        })?;
        report.bad.sort_by_key(|bad| bad.line);
        if global.json {
            output::json(&report)?;
        } else {
            print(&report)?;
        }
        if report.short > 0 {
            output::remark(format!(
                "secrets that are short enough to be guessed: {}; client rotate-secret makes better ones",
                report.short
            ));
        }
        if report.bad.is_empty() {
            return Ok(());
        }
        Err(Failure::refused(format!("{} of {} lines are bad", report.bad.len(), report.read)))
    }

    /// Without a store, which a dry run does not make, no client is there.
    async fn take(
        &self,
        admin: Option<&Admin>,
        rows: &mut Rows<impl std::io::BufRead>,
    ) -> Result<Report, Failure> {
        if let Some(admin) = admin.filter(|_| !self.dry_run) {
            admin.begin_import().await?;
        }
        let mut report = Report { dry_run: self.dry_run, ..Report::default() };
        let rows = stream::iter(std::iter::from_fn(|| rows.next().transpose()));
        let taken = rows.map(async |row| match row? {
            Ok(row) => self.take_one(admin, row).await,
            Err(bad) => Ok(Err(bad)),
        });
        let mut taken = std::pin::pin!(taken.buffer_unordered(AT_ONCE));
        let mut done = Ok(());
        while let Some(outcome) = taken.next().await {
            match outcome {
                Ok(outcome) => report.count(outcome),
                Err(failure) => {
                    done = Err(failure);
                    break;
                }
            }
        }
        if !self.dry_run {
            tracing::info!(target: "audit", event = "clients_imported", clients = report.added);
        }
        done.map(|()| report)
    }

    /// What became of a client, and whether its secret is short. The inner error is about the line, the outer one ends
    /// the run.
    async fn take_one(
        &self,
        admin: Option<&Admin>,
        row: Row,
    ) -> Result<Result<(Imported, bool), Bad>, Failure> {
        let Row { line, client, short_secret } = row;
        let id = client.id.to_string();
        let done = match admin {
            None => client.into_client(SystemClock.now()).map(|_| Imported::Added),
            Some(admin) if self.dry_run => admin.check_client(client).await,
            Some(admin) => admin.import_client(client).await,
        };
        match done {
            Err(error @ (AdminError::Store(_) | AdminError::Contended)) => Err(error.into()),
            Err(error) => Ok(Err(Bad { line, client_id: Some(id), reason: error.to_string() })),
            Ok(done) => Ok(Ok((done, short_secret))),
        }
    }
}

impl Report {
    fn count(&mut self, outcome: Result<(Imported, bool), Bad>) {
        self.read += 1;
        match outcome {
            Ok((Imported::Added, short)) => {
                self.added += 1;
                self.short += u64::from(short);
            }
            Ok((Imported::Already, _)) => self.already += 1,
            Err(bad) => self.bad.push(bad),
        }
    }
}

fn print(report: &Report) -> Result<(), Failure> {
    let Report { read, added, already, bad, .. } = report;
    let numbers = [*read, *added, *already, bad.len() as u64].map(|number| number.to_string());
    let added = if report.dry_run { "TO ADD" } else { "ADDED" };
    output::table(["READ", added, "ALREADY", "BAD"], [numbers])?;
    for Bad { line, client_id, reason } in bad {
        let id = client_id.as_ref().map(|id| format!("{}: ", plain(id))).unwrap_or_default();
        output::line(format!("line {line}: {id}{reason}"))?;
    }
    Ok(())
}
