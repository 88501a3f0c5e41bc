//! `sentinel user import`: many users at once, from another server or from an export.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::super::failure::{Failure, chain};
use super::super::files::{self, Format};
use super::super::output::{self, plain};
use super::super::progress::Progress;
use super::super::{Global, on_store};
use crate::admin::{Admin, AdminError, Imported, ImportedUser};
use crate::app::password_policy;
use crate::import::users::{Bad, Password, Row, Rows, RowsError};
use crate::password::{PasswordPool, PoolError};

/// Users on their way at once: as many as share a commit of the embedded store.
const AT_ONCE: usize = 256;

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// CSV with a header, or JSON Lines; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What is in the file, where its name does not say
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// What became of the rows.
#[derive(Debug, Default, Serialize)]
struct Report {
    read: u64,
    added: u64,
    /// In the store from an earlier run; they are left as they are.
    already: u64,
    bad: Vec<Bad>,
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
            let done = take(admin, &pool, &mut rows, &mut report, |read| {
                let position = length.map_or(read, |_| at.load(Ordering::Relaxed));
                progress.at(position, format!("{read} users"));
            });
            let done = done.await;
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
        if report.bad.is_empty() {
            return Ok(());
        }
        Err(Failure::refused(format!("{} of {} rows are bad", report.bad.len(), report.read)))
    }
}

async fn take(
    admin: &Admin,
    pool: &PasswordPool,
    rows: &mut Rows<impl std::io::BufRead>,
    report: &mut Report,
    tell: impl Fn(u64),
) -> Result<(), Failure> {
    let rows = stream::iter(std::iter::from_fn(|| rows.next().transpose()));
    let mut taken = rows
        .map(async |row| match row? {
            Ok(row) => {
                let (line, username) = (row.line, row.username.clone());
                let bad = |reason| Bad { line, username: Some(username), reason };
                take_one(admin, pool, row).await.map(|done| done.map_err(bad))
            }
            Err(bad) => Ok(Err(bad)),
        })
        .buffer_unordered(AT_ONCE);
    while let Some(done) = taken.next().await {
        report.read += 1;
        match done? {
            Ok(Imported::Added) => report.added += 1,
            Ok(Imported::Already) => report.already += 1,
            Err(bad) => report.bad.push(bad),
        }
        if report.read.is_multiple_of(100) {
            tell(report.read);
        }
    }
    Ok(())
}

/// The inner error is about the row, the outer one ends the run.
async fn take_one(
    admin: &Admin,
    pool: &PasswordPool,
    row: Row,
) -> Result<Result<Imported, String>, Failure> {
    let password = match row.password {
        Password::Hash(hash) => hash,
        Password::Plain(password) => {
            // Nothing is hashed for users that are there: this is what a repeated run spends its time on.
            match admin.find_imported(&row.username, row.id).await {
                Ok(None) => {}
                found => return about_the_row(found.map(|_| Imported::Already)),
            }
            match pool.hash(password).await {
                Ok(hash) => hash,
                Err(PoolError::Hash(error)) if error.is_about_the_password() => {
                    return Ok(Err(error.to_string()));
                }
                Err(error) => return Err(Failure::unavailable(chain(&error))),
            }
        }
    };
    let Row { id, username, scopes, enabled, .. } = row;
    let user = ImportedUser { id, username, password, scopes, enabled };
    about_the_row(admin.import_user(user).await)
}

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
            RowsError::Read(_) => Self::io(error),
            _ => Self::refused(error),
        }
    }
}

fn print(report: &Report) -> Result<(), Failure> {
    let Report { read, added, already, bad } = report;
    let numbers = [*read, *added, *already, bad.len() as u64].map(|number| number.to_string());
    output::table(["READ", "ADDED", "ALREADY", "BAD"], [numbers])?;
    for Bad { line, username, reason } in bad {
        let name = username.as_ref().map(|name| format!("{}: ", plain(name))).unwrap_or_default();
        output::line(format!("line {line}: {name}{reason}"))?;
    }
    Ok(())
}
