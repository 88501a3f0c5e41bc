//! `sentinel user import`: imports users from another server or from an export.

use std::cell::Cell;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Args;
use futures_util::StreamExt;
use secrecy::{ExposeSecret, SecretString};

use super::super::bulk::{BulkReport, Reading};
use super::super::failure::{Failure, error_chain, first_failure, outcome};
use super::super::files::{self, Format};
use super::super::progress::Progress;
use super::super::{Global, on_store};
use crate::admin::{Admin, AdminError, ImportResult, ImportedUser, NewUser};
use crate::app::password_policy;
use crate::domain::{PasswordHash, check_password};
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
        let (reader, length) = files::open(&self.file)?;
        let progress = Progress::reading(global.json, length);
        let reader = BufReader::with_capacity(64 << 10, progress.reader(reader));
        let mut rows = match format {
            Format::Csv => UserRows::from_csv(reader)?,
            Format::Jsonl => UserRows::from_json_lines(reader),
        };
        let report = on_store(&settings, OpenMode::Create, async |admin| {
            let policy = password_policy(&settings.password);
            // Uses all cores, even if the settings leave some of them free beside a server.
            let pool = PasswordPool::start(policy, 0, MAX_CONCURRENT_ROWS)
                .map_err(|error| Failure::config(error_chain(&error)))?;
            admin.begin_import().await?;
            let mut report = BulkReport::new(None);
            let hashing =
                Hashing { pool, shortest: settings.password.min_length, short: Cell::new(0) };
            let done = import_rows(admin, &hashing, &mut rows, &mut report, |read| {
                progress.rows_read(read, "users");
            });
            let done = done.await;
            operation!(outcome(&done), event = "users_imported", users = report.added);
            done.map(|()| (report, hashing.short.get()))
        });
        drop(progress);
        let (report, short) = report?;
        // As for a single user, short passwords are accepted with a warning.
        let least = settings.password.min_length;
        let remark = format!(
            "passwords with fewer than {least} characters (password.min_length): {short}, imported anyway"
        );
        report.print(global.json, Some(remark).filter(|_| short > 0))
    }
}

/// Imports the rows of a file and counts them in `report`. If the import stops early, writes in
/// progress are completed and counted first.
async fn import_rows(
    admin: &Admin,
    hashing: &Hashing,
    rows: &mut UserRows<impl std::io::BufRead>,
    report: &mut BulkReport,
    report_progress: impl Fn(u64),
) -> Result<(), Failure> {
    let reading = Reading::default();
    let mut done = Ok(());
    {
        let prepared = reading.rows(|| rows.next()).map(|row| prepare(admin, hashing, row));
        let write = async |rows| {
            if reading.is_stopped() { (Vec::new(), Ok(())) } else { write(admin, rows).await }
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
        let is_short = check_password(password.expose_secret(), self.shortest).is_err();
        self.short.set(self.short.get() + u64::from(is_short));
        self.pool.hash(password).await
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
    admin: &Admin,
    hashing: &Hashing,
    row: Result<UserRow, InvalidRow>,
) -> Result<Prepared, Failure> {
    let row = match row {
        Ok(row) => row,
        Err(bad) => return Ok(Prepared::Done(Err(bad))),
    };
    let UserRow { line, id, username, password, scopes, enabled } = row;
    let done = |outcome: Result<ImportResult, String>, username| {
        let bad = |reason| InvalidRow { line, name: Some(RowName::Username(username)), reason };
        Ok(Prepared::Done(outcome.map_err(bad)))
    };
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
                        username,
                    );
                }
            }
            match hashing.hash(password).await {
                Ok(hash) => hash,
                Err(PoolError::Hash(error)) if error.is_caused_by_password() => {
                    return done(Err(error.to_string()), username);
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
    admin: &Admin,
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
    match admin.import_users(users).await {
        Ok(imported) => {
            for ((line, username), imported) in named.into_iter().zip(imported) {
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
