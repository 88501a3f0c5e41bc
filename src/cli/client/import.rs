//! `sentinel client import`: imports clients from another server or from an export.

use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use futures_util::StreamExt;
use secrecy::ExposeSecret;

use super::super::bulk::{BulkReport, ImportEnd, Reading};
use super::super::failure::{Failure, first_failure};
use super::super::global::{open, open_for_dry_run};
use super::super::interrupt::Interrupt;
use super::super::{Global, files};
use super::rows::{ClientRow, ClientRows, RowSecret};
use super::secret;
use crate::admin::{Admin, AdminError, ImportResult, ImportedClient};
use crate::app::password_policy;
use crate::domain::{ClientKind, Clock, Digest, StoredSecret, SystemClock};
use crate::import::lines::{InvalidRow, RowName};
use crate::observe::audit::operation;
use crate::observe::error_chain;
use crate::password::PasswordPool;
use crate::store::OpenMode;

/// Maximum number of clients imported concurrently. They share commits of the embedded store, and
/// are hashed on all cores.
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
        let (report, short, end) = global.with_log(&settings, async || {
            let stores = if self.dry_run {
                open_for_dry_run(&settings).await?
            } else {
                Some(open(&settings, OpenMode::Create).await?)
            };
            let admin = stores.map(|stores| Admin::new(stores, Arc::new(SystemClock)));
            let policy = password_policy(&settings.password);
            let pool = PasswordPool::start(policy, settings.password.workers, MAX_CONCURRENT_ROWS)
                .map_err(|error| Failure::config(error_chain(&error)))?;
            self.import_rows(admin.as_ref(), &pool, &mut rows, &interrupt).await
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
        pool: &PasswordPool,
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
                Ok(row) => self.import_row(admin, pool, row).await,
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
        pool: &PasswordPool,
        row: ClientRow,
    ) -> Result<Result<(ImportResult, bool), InvalidRow>, Failure> {
        let ClientRow { line, id, enabled, client, secret } = row;
        let name = Some(RowName::ClientId(id.to_string()));
        // In a dry run, and for a client that exists, the secret is not hashed: that takes most of
        // the time of an import.
        let (kind, plain) = match secret {
            None => (ClientKind::Public, None),
            Some(RowSecret::Stored(stored)) => (ClientKind::Confidential(stored), None),
            Some(RowSecret::Plain(secret, is_short)) => {
                let digest = Digest::of(secret.expose_secret().as_bytes());
                let stored = StoredSecret::Digest(digest);
                (ClientKind::Confidential(stored), Some((secret, is_short)))
            }
        };
        let mut client = ImportedClient { id, kind, enabled, client };
        let is_short = plain.as_ref().is_some_and(|(_, is_short)| *is_short);
        let done = match admin {
            None => client.into_client(SystemClock.now()).map(|_| ImportResult::Added),
            Some(admin) => match admin.check_client(client.clone()).await {
                Ok(ImportResult::Added) if !self.dry_run => {
                    if let Some((secret, _)) = &plain {
                        let stored = secret::stored(secret, pool).await?;
                        client.kind = ClientKind::Confidential(stored);
                    }
                    admin.import_client(client).await
                }
                checked => checked,
            },
        };
        match done {
            Err(error @ (AdminError::Store(_) | AdminError::Contended)) => {
                let may_be_done = error.may_be_done();
                Err(Failure::from(error).unconfirmed_if(may_be_done))
            }
            Err(error) => Ok(Err(InvalidRow { line, name, reason: error.to_string() })),
            Ok(done) => Ok(Ok((done, is_short))),
        }
    }
}
