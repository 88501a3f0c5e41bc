//! `sentinel user import`: many users at once, from another server or from an export.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use futures_util::{StreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::super::failure::{Failure, chain};
use super::super::files::{self, Format};
use super::super::output::{self, plain};
use super::super::progress::Progress;
use super::super::{Global, on_store};
use crate::admin::{Admin, AdminError, Imported, ImportedUser};
use crate::app::password_policy;
use crate::domain::{PasswordHash, check_password};
use crate::import::users::{Bad, Password, Row, Rows, RowsError};
use crate::password::{PasswordPool, PoolError};

/// Users on their way at once before they are written.
const AT_ONCE: usize = 256;

/// Users who share a write, and such writes at once: no more than a store takes in a fraction of the time that it may
/// take to answer.
const IN_A_WRITE: usize = 500;
const WRITES_AT_ONCE: usize = 2;

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// CSV with a header, or JSON Lines; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What is in the file, where its name does not say
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// How passwords become hashes.
struct Hashing {
    pool: PasswordPool,
    /// The fewest characters that the page and the API would take.
    shortest: usize,
    /// How many had fewer.
    short: Cell<u64>,
}

/// What became of the rows.
#[derive(Debug, Default, Serialize)]
struct Report {
    read: u64,
    added: u64,
    /// In the store from an earlier run; they are left as they are.
    already: u64,
    bad: Vec<Bad>,
    /// How many passwords were shorter than the page and the API would take.
    #[serde(skip)]
    short: u64,
}

impl Import {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let format = Format::of(self.format, &self.file)?;
        let settings = global.settings()?;
        let (reader, length) = files::open(&self.file)?;
        let progress = Progress::reading(global.json, length);
        let at = reader.count();
        let mut rows = match format {
            Format::Csv => Rows::of_csv(reader.buffered())?,
            Format::Jsonl => Rows::of_lines(reader.buffered()),
        };
        let report = on_store(&settings, async |admin| {
            let policy = password_policy(&settings.password);
            // All cores, whatever a server beside this one is to leave free.
            let pool = PasswordPool::start(policy, 0, AT_ONCE)
                .map_err(|error| Failure::config(chain(&error)))?;
            admin.begin_import().await?;
            let mut report = Report::default();
            let hashing =
                Hashing { pool, shortest: settings.password.min_length, short: Cell::new(0) };
            let done = take(admin, &hashing, &mut rows, &mut report, |read| {
                let position = length.map_or(read, |_| at.load(Ordering::Relaxed));
                progress.at(position, format!("{read} users"));
            });
            let done = done.await;
            report.short = hashing.short.get();
            tracing::info!(target: "audit", event = "users_imported", users = report.added);
            done.map(|()| report)
        });
        drop(progress);
        let mut report = report?;
        report.bad.sort_by_key(|bad| bad.line);
        if global.json {
            output::json(&report)?;
        } else {
            print(&report)?;
        }
        if report.short > 0 {
            // As with one user: taken with a word.
            let (short, least) = (report.short, settings.password.min_length);
            output::remark(format!(
                "passwords with fewer than {least} characters (password.min_length): {short}, taken all the same"
            ));
        }
        if report.bad.is_empty() {
            return Ok(());
        }
        Err(Failure::refused(format!("{} of {} rows are bad", report.bad.len(), report.read)))
    }
}

async fn take(
    admin: &Admin,
    hashing: &Hashing,
    rows: &mut Rows<impl std::io::BufRead>,
    report: &mut Report,
    tell: impl Fn(u64),
) -> Result<(), Failure> {
    let rows = stream::iter(std::iter::from_fn(|| rows.next().transpose()));
    let mut written = rows
        .map(async |row| prepare(admin, hashing, row?).await)
        .buffer_unordered(AT_ONCE)
        .ready_chunks(IN_A_WRITE)
        .map(async |rows| write(admin, rows).await)
        .buffer_unordered(WRITES_AT_ONCE);
    while let Some((outcomes, failure)) = written.next().await {
        for outcome in outcomes {
            report.read += 1;
            match outcome {
                Ok(Imported::Added) => report.added += 1,
                Ok(Imported::Already) => report.already += 1,
                Err(bad) => report.bad.push(bad),
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        tell(report.read);
    }
    Ok(())
}

impl Hashing {
    async fn hash(&self, password: SecretString) -> Result<PasswordHash, PoolError> {
        let is_short = check_password(password.expose_secret(), self.shortest).is_err();
        self.short.set(self.short.get() + u64::from(is_short));
        self.pool.hash(password).await
    }
}

/// What became of a row, or why not.
type Outcome = Result<Imported, Bad>;

/// A row on its way.
enum Prepared {
    /// It is to be written.
    New(u64, ImportedUser),
    /// It is not.
    Done(Outcome),
}

/// Hashes the password of a row, unless its user is there.
async fn prepare(
    admin: &Admin,
    hashing: &Hashing,
    row: Result<Row, Bad>,
) -> Result<Prepared, Failure> {
    let row = match row {
        Ok(row) => row,
        Err(bad) => return Ok(Prepared::Done(Err(bad))),
    };
    let Row { line, id, username, password, scopes, enabled } = row;
    let done = |outcome: Result<Imported, String>, username| {
        let bad = |reason| Bad { line, username: Some(username), reason };
        Ok(Prepared::Done(outcome.map_err(bad)))
    };
    let password = match password {
        Password::Hash(hash) => hash,
        Password::Plain(password) => {
            // Nothing is hashed for users that are there: this is what a repeated run spends its time on.
            match admin.find_imported(&username, id).await {
                Ok(None) => {}
                found => {
                    return done(about_the_row(found.map(|_| Imported::Already))?, username);
                }
            }
            match hashing.hash(password).await {
                Ok(hash) => hash,
                Err(PoolError::Hash(error)) if error.is_about_the_password() => {
                    return done(Err(error.to_string()), username);
                }
                Err(error) => return Err(Failure::unavailable(chain(&error))),
            }
        }
    };
    Ok(Prepared::New(line, ImportedUser { id, username, password, scopes, enabled }))
}

/// Writes what is ready. What went wrong with one row, or with the store, ends the run when the others are written.
async fn write(
    admin: &Admin,
    rows: Vec<Result<Prepared, Failure>>,
) -> (Vec<Outcome>, Option<Failure>) {
    let (mut outcomes, mut failure) = (Vec::with_capacity(rows.len()), None);
    let (mut named, mut users) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(Prepared::New(line, user)) => {
                named.push((line, user.username.clone()));
                users.push(user);
            }
            Ok(Prepared::Done(outcome)) => outcomes.push(outcome),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match admin.import_users(users).await {
        Ok(done) => {
            for ((line, username), done) in named.into_iter().zip(done) {
                let bad = |reason| Bad { line, username: Some(username), reason };
                match about_the_row(done) {
                    Ok(outcome) => outcomes.push(outcome.map_err(bad)),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
        }
        Err(error) => failure = failure.or(Some(error.into())),
    }
    (outcomes, failure)
}

/// The inner error is about the row, the outer one ends the run.
fn about_the_row(done: Result<Imported, AdminError>) -> Result<Result<Imported, String>, Failure> {
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
            RowsError::Header | RowsError::Column(_) => Self::refused(error),
        }
    }
}

fn print(report: &Report) -> Result<(), Failure> {
    let Report { read, added, already, bad, .. } = report;
    let numbers = [*read, *added, *already, bad.len() as u64].map(|number| number.to_string());
    output::table(["READ", "ADDED", "ALREADY", "BAD"], [numbers])?;
    for Bad { line, username, reason } in bad {
        let name = username.as_ref().map(|name| format!("{}: ", plain(name))).unwrap_or_default();
        output::line(format!("line {line}: {name}{reason}"))?;
    }
    Ok(())
}
