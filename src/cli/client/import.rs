//! `sentinel client import`: imports clients from another server or from an export.

use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use futures_util::StreamExt;

use super::super::bulk::{BulkReport, ImportEnd, Reading};
use super::super::failure::{Failure, first_failure};
use super::super::global::{open, open_for_dry_run};
use super::super::interrupt::Interrupt;
use super::super::{Global, files, with_log};
use super::rows::{ClientRow, ClientRows};
use crate::admin::{Admin, AdminError, ImportResult};
use crate::domain::{Clock, SystemClock};
use crate::import::lines::{InvalidRow, RowName};
use crate::observe::audit::operation;
use crate::store::OpenMode;

/// Maximum number of clients imported concurrently, which share commits of the embedded store.
const MAX_CONCURRENT_ROWS: usize = 64;

#[derive(Debug, Args)]
pub(in crate::cli) struct ImportClients {
    /// JSON Lines file in the format of `client export`; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Reports the changes, and writes nothing
    #[arg(long)]
    dry_run: bool,
}

impl ImportClients {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        let interrupt = Interrupt::watch()?;
        let (reader, _) = files::open(&self.file, &interrupt)?;
        let mut rows = ClientRows::new(BufReader::new(reader));
        let (report, short, end) = with_log(&settings, async || {
            let stores = if self.dry_run {
                open_for_dry_run(&settings).await?
            } else {
                Some(open(&settings, OpenMode::Create).await?)
            };
            let admin = stores.map(|stores| Admin::new(stores, Arc::new(SystemClock)));
            self.import_rows(admin.as_ref(), &mut rows, &interrupt).await
        })?;
        let remark = format!(
            "secrets that are short enough to be guessed: {short}; client rotate-secret makes better ones"
        );
        report.print(global.json, Some(remark).filter(|_| short > 0), end.was_interrupted()?)
    }

    /// Imports the clients in a file. Returns the report, the number of new clients with a short
    /// secret, and how the import ended.
    ///
    /// `admin` is `None` in a dry run without a store, in which all clients are new. If the import
    /// stops early, writes in progress are completed and counted first.
    async fn import_rows(
        &self,
        admin: Option<&Admin>,
        rows: &mut ClientRows<impl std::io::BufRead>,
        interrupt: &Interrupt,
    ) -> Result<(BulkReport, u64, ImportEnd), Failure> {
        if let Some(admin) = admin.filter(|_| !self.dry_run) {
            admin.begin_import().await?;
        }
        let (mut report, mut short) = (BulkReport::new(self.dry_run), 0);
        let (reading, mut done) = (Reading::new(interrupt), Ok(()));
        {
            let imported_rows = reading.rows(|| rows.next()).map(async |row| match row {
                Ok(row) => self.import_row(admin, row).await,
                Err(bad) => Ok(Err(bad)),
            });
            let mut imported_rows =
                std::pin::pin!(imported_rows.buffer_unordered(MAX_CONCURRENT_ROWS));
            while let Some(outcome) = imported_rows.next().await {
                match outcome {
                    Ok(outcome) => {
                        short += u64::from(matches!(outcome, Ok((ImportResult::Added, true))));
                        report.count(outcome.map(|(imported, _)| imported));
                    }
                    Err(failure) => {
                        reading.stop();
                        done = first_failure(done, failure);
                    }
                }
            }
        }
        let end = reading.end(done);
        if !self.dry_run {
            operation!(end.outcome(), event = "clients_imported", clients = report.added);
        }
        Ok((report, short, end))
    }

    /// Imports a client. Returns the result, and whether the client secret is short. The inner
    /// error rejects the line of the file; the outer error ends the import.
    async fn import_row(
        &self,
        admin: Option<&Admin>,
        row: ClientRow,
    ) -> Result<Result<(ImportResult, bool), InvalidRow>, Failure> {
        let ClientRow { line, client, short_secret } = row;
        let name = Some(RowName::ClientId(client.id.to_string()));
        let done = match admin {
            None => client.into_client(SystemClock.now()).map(|_| ImportResult::Added),
            Some(admin) if self.dry_run => admin.check_client(client).await,
            Some(admin) => admin.import_client(client).await,
        };
        match done {
            Err(error @ (AdminError::Store(_) | AdminError::Contended)) => {
                let may_be_done = error.may_be_done();
                Err(Failure::from(error).unconfirmed_if(may_be_done))
            }
            Err(error) => Ok(Err(InvalidRow { line, name, reason: error.to_string() })),
            Ok(done) => Ok(Ok((done, short_secret))),
        }
    }
}
