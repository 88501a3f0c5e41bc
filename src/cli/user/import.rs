//! `sentinel user import`: imports users from another server or from an export.

use std::cell::{Cell, RefCell};
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use futures_util::StreamExt;
use secrecy::{ExposeSecret, SecretString};

use super::super::Global;
use super::super::bulk::{BulkReport, ImportEnd, Reading};
use super::super::failure::{Failure, error_chain, first_failure};
use super::super::files::{self, Format};
use super::super::global::{open, open_for_dry_run};
use super::super::interrupt::Interrupt;
use super::super::progress::Progress;
use crate::admin::{Admin, AdminError, ImportResult, ImportedUser, NewUser};
use crate::app::password_policy;
use crate::domain::{PasswordHash, SystemClock, check_password};
use crate::import::lines::{InvalidRow, RowName};
use crate::import::users::{RowPassword, RowsError, UserRow, UserRows};
use crate::observe::audit::operation;
use crate::password::{PasswordPool, PoolError};
use crate::store::OpenMode;

/// Maximum number of users whose rows are prepared (passwords hashed) concurrently.
const MAX_CONCURRENT_ROWS: usize = 256;

/// Maximum number of users in a write. A store completes `MAX_CONCURRENT_WRITES` such writes
/// concurrently in a fraction of the time limit of a store operation.
const USERS_PER_WRITE: usize = 500;
const MAX_CONCURRENT_WRITES: usize = 2;

#[derive(Debug, Args)]
pub(in crate::cli) struct ImportUsers {
    /// CSV file with a header line, or JSON Lines file; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File format; by default, the file name extension determines it
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Reports the changes, and writes nothing
    #[arg(long)]
    dry_run: bool,
}

/// Hashes the passwords of imported users.
struct Hashing {
    pool: PasswordPool,
    /// Minimum number of characters in a password that the management page and API require.
    shortest: usize,
    /// Number of imported passwords that have fewer characters than `shortest`.
    short: Cell<u64>,
}

impl ImportUsers {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let format = Format::of(self.format, &self.file)?;
        let settings = global.settings()?;
        let interrupt = Interrupt::watch()?;
        let (reader, length) = files::open(&self.file, &interrupt)?;
        let progress = Progress::reading(global.json, length);
        let reader = BufReader::with_capacity(64 << 10, progress.reader(reader));
        let mut rows = match format {
            Format::Csv => UserRows::from_csv(reader)?,
            Format::Jsonl => UserRows::from_json_lines(reader),
        };
        let report = global.with_log(&settings, async || {
            let stores = if self.dry_run {
                open_for_dry_run(&settings).await?
            } else {
                Some(open(&settings, OpenMode::Create).await?)
            };
            let admin = stores.map(|stores| Admin::new(stores, Arc::new(SystemClock)));
            let policy = password_policy(&settings.password);
            // Uses all cores, even if the settings leave some of them free beside a server.
            let pool = PasswordPool::start(policy, 0, MAX_CONCURRENT_ROWS)
                .map_err(|error| Failure::config(error_chain(&error)))?;
            let hashing =
                Hashing { pool, shortest: settings.password.min_length, short: Cell::new(0) };
            let spellings = RefCell::default();
            let importer = Importer { admin, dry_run: self.dry_run, hashing, spellings };
            if let Some(admin) = importer.writer() {
                admin.begin_import().await?;
            }
            let mut report = BulkReport::new(self.dry_run);
            let end = import_rows(&importer, &mut rows, &mut report, &interrupt, |read| {
                progress.rows_read(read, "users");
            });
            let end = end.await;
            if !self.dry_run {
                operation!(end.outcome(), event = "users_imported", users = report.added);
            }
            report.spellings = importer.spellings.take();
            Ok((report, importer.hashing.short.get(), end.was_interrupted()?))
        });
        drop(progress);
        let (report, short, was_interrupted) = report?;
        // As for a single user, short passwords are accepted with a warning.
        let least = settings.password.min_length;
        let imported = if self.dry_run { "accepted by an import" } else { "imported anyway" };
        let remark = format!(
            "passwords with fewer than {least} characters (password.min_length): {short}, {imported}"
        );
        report.print(global.json, Some(remark).filter(|_| short > 0), was_interrupted)
    }
}

/// Imports users, or only checks them in a dry run.
struct Importer {
    /// Store of the users; `None` in a dry run without a store, in which all users are new.
    admin: Option<Admin>,
    dry_run: bool,
    hashing: Hashing,
    /// Lines and names of the added users whose names other users have in another spelling.
    spellings: RefCell<Vec<(u64, String)>>,
}

impl Importer {
    /// Returns the store to write users to; `None` in a dry run.
    fn writer(&self) -> Option<&Admin> {
        self.admin.as_ref().filter(|_| !self.dry_run)
    }

    /// Returns the result that the import of a user would have.
    async fn check(&self, row: &UserRow) -> Result<ImportResult, AdminError> {
        let checked = match &self.admin {
            Some(admin) => admin.check_user(&row.username, row.id).await?,
            None => ImportResult::Added,
        };
        let is_spelling = checked == ImportResult::Added && row.repeats_name;
        Ok(if is_spelling { ImportResult::AddedSpelling } else { checked })
    }

    /// Notes the name of an added user for the report if another user has it in another spelling.
    fn note_spelling(&self, result: &Result<ImportResult, AdminError>, line: u64, username: &str) {
        if matches!(result, Ok(ImportResult::AddedSpelling)) {
            self.spellings.borrow_mut().push((line, username.to_owned()));
        }
    }
}

/// Imports the rows of a file and counts them in `report`. If the import stops early, writes in
/// progress are completed and counted first. After a signal, all rows that were read are written.
async fn import_rows(
    importer: &Importer,
    rows: &mut UserRows<impl std::io::BufRead>,
    report: &mut BulkReport,
    interrupt: &Interrupt,
    report_progress: impl Fn(u64),
) -> ImportEnd {
    let reading = Reading::new(interrupt);
    let mut done = Ok(());
    {
        let prepared = reading.rows(|| rows.next()).map(|row| prepare(importer, row));
        let write = async |rows| {
            if reading.is_stopped() { (Vec::new(), Ok(())) } else { write(importer, rows).await }
        };
        let writing =
            prepared.buffer_unordered(MAX_CONCURRENT_ROWS).ready_chunks(USERS_PER_WRITE).map(write);
        let mut written = std::pin::pin!(writing.buffer_unordered(MAX_CONCURRENT_WRITES));
        while let Some((outcomes, written)) = written.next().await {
            for outcome in outcomes {
                report.count(outcome);
            }
            if let Err(failure) = written {
                reading.stop();
                done = first_failure(done, failure);
            }
            report_progress(report.read());
        }
    }
    reading.end(done)
}

impl Hashing {
    async fn hash(&self, password: SecretString) -> Result<PasswordHash, PoolError> {
        self.count_short(&password);
        self.pool.hash(password).await
    }

    fn count_short(&self, password: &SecretString) {
        let is_short = check_password(password.expose_secret(), self.shortest).is_err();
        self.short.set(self.short.get() + u64::from(is_short));
    }
}

/// Result of importing a row of the file, or the reason for which the row is not imported.
type RowOutcome = Result<ImportResult, InvalidRow>;

/// Row of a file of users after its preparation: hashed, or found to need no write.
enum Prepared {
    /// User to be written, with the number of the line in the file.
    New(u64, ImportedUser),
    /// Outcome of a row that needs no write: it is invalid, or the user exists.
    Done(RowOutcome),
}

/// Returns a row of the file ready to be written: hashes its password, unless the user exists.
async fn prepare(
    importer: &Importer,
    row: Result<UserRow, InvalidRow>,
) -> Result<Prepared, Failure> {
    let row = match row {
        Ok(row) => row,
        Err(bad) => return Ok(Prepared::Done(Err(bad))),
    };
    let done = |outcome: Result<ImportResult, String>, line, username| {
        let bad = |reason| InvalidRow { line, name: Some(RowName::Username(username)), reason };
        Ok(Prepared::Done(outcome.map_err(bad)))
    };
    let Some(admin) = importer.writer() else {
        let checked = importer.check(&row).await;
        importer.note_spelling(&checked, row.line, &row.username);
        if let (
            Ok(ImportResult::Added | ImportResult::AddedSpelling),
            RowPassword::Plain(password),
        ) = (&checked, &row.password)
        {
            importer.hashing.count_short(password);
        }
        return done(separate_row_error(checked)?, row.line, row.username);
    };
    let UserRow { line, id, username, password, scopes, enabled, .. } = row;
    let password = match password {
        RowPassword::Hash(hash) => hash,
        RowPassword::Plain(password) => {
            // Passwords of existing users are not hashed, since that would take most of the time of
            // a repeated run.
            match admin.find_imported(&username, id).await {
                Ok(None) => {}
                found => {
                    return done(
                        separate_row_error(found.map(|_| ImportResult::Exists))?,
                        line,
                        username,
                    );
                }
            }
            match importer.hashing.hash(password).await {
                Ok(hash) => hash,
                Err(PoolError::Hash(error)) if error.is_caused_by_password() => {
                    return done(Err(error.to_string()), line, username);
                }
                Err(error) => return Err(Failure::unavailable(error_chain(&error))),
            }
        }
    };
    let user = NewUser { username, password, scopes, enabled };
    Ok(Prepared::New(line, ImportedUser { id, user }))
}

/// Writes the prepared users and returns the outcome for each. A failure of one row or of the store
/// ends the import after the other users are written.
async fn write(
    importer: &Importer,
    rows: Vec<Result<Prepared, Failure>>,
) -> (Vec<RowOutcome>, Result<(), Failure>) {
    let (mut outcomes, mut done) = (Vec::with_capacity(rows.len()), Ok(()));
    let (mut named, mut users) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(Prepared::New(line, new)) => {
                named.push((line, new.user.username.clone()));
                users.push(new);
            }
            Ok(Prepared::Done(outcome)) => outcomes.push(outcome),
            Err(failure) => done = first_failure(done, failure),
        }
    }
    let imported = match importer.writer() {
        Some(admin) if !users.is_empty() => admin.import_users(users).await,
        _ => Ok(Vec::new()),
    };
    match imported {
        Ok(imported) => {
            for ((line, username), imported) in named.into_iter().zip(imported) {
                importer.note_spelling(&imported, line, &username);
                let bad =
                    |reason| InvalidRow { line, name: Some(RowName::Username(username)), reason };
                match separate_row_error(imported) {
                    Ok(outcome) => outcomes.push(outcome.map_err(bad)),
                    Err(failure) => done = first_failure(done, failure),
                }
            }
        }
        Err(error) => {
            let may_be_done = error.may_be_done();
            done = first_failure(done, Failure::from(error).unconfirmed_if(may_be_done));
        }
    }
    (outcomes, done)
}

/// Separates errors that reject the row (inner) from errors that end the import (outer).
fn separate_row_error(
    done: Result<ImportResult, AdminError>,
) -> Result<Result<ImportResult, String>, Failure> {
    match done {
        Err(error @ (AdminError::Store(_) | AdminError::Contended)) => Err(error.into()),
        Err(error) => Ok(Err(error.to_string())),
        Ok(done) => Ok(Ok(done)),
    }
}

impl From<RowsError> for Failure {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Lines(error) => error.into(),
            RowsError::Header | RowsError::Column(_) | RowsError::TooLong(_) => {
                Self::refused(error)
            }
        }
    }
}
