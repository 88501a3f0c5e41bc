//! `sentinel import`: imports the data of another server.

use clap::{Args, Subcommand};

use super::failure::{Failure, outcome};
use super::global::{Global, open, open_for_dry_run};
use super::interrupt::Interrupt;
use super::output::{self, plain};
use crate::domain::{Clock, SystemClock};
use crate::import::flask_sentinel::{Import, ImportError};
use crate::import::{ImportCounts, ImportReport};
use crate::observe::audit::operation;
use crate::settings::RedisSettings;
use crate::store::OpenMode;

/// Servers from which data can be imported.
#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Imports users, clients and live tokens from flask-sentinel; safe to repeat
    FlaskSentinel(FlaskSentinel),
}

#[derive(Debug, Args)]
pub(super) struct FlaskSentinel {
    /// MongoDB connection string; if it has a password, use the environment variable
    #[arg(long, value_name = "URI", env = "FLASK_SENTINEL_MONGO_URI", hide_env_values = true)]
    from: String,
    /// Reports the changes, and writes nothing
    #[arg(long)]
    dry_run: bool,
}

impl ImportCommand {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::FlaskSentinel(command) => command.run(global),
        }
    }
}

impl FlaskSentinel {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        warn_about_redis(&settings.redis);
        let interrupt = Interrupt::watch()?;
        let (report, was_stopped) = global.with_log(&settings, async || {
            let stores = if self.dry_run {
                open_for_dry_run(&settings).await?
            } else {
                Some(open(&settings, OpenMode::Create).await?)
            };
            let now = SystemClock.now();
            let import = Import::new(stores, settings.oauth.lifetimes, now, self.dry_run);
            let mut import = import.stopped_by(interrupt.flag());
            let done = import.import_all(&self.from).await;
            let has_begun = !matches!(
                done,
                Err(ImportError::Source(_)
                    | ImportError::SourceFile(_)
                    | ImportError::NoCollections(_))
            );
            let was_stopped = matches!(done, Err(ImportError::Stopped));
            let (done, report) = (done.map_err(Failure::from), import.into_report());
            if has_begun && !self.dry_run {
                operation!(
                    outcome(&done),
                    event = "imported",
                    from = "flask-sentinel",
                    users = report.users.imported,
                    clients = report.clients.imported,
                    sessions = report.tokens.imported,
                );
            }
            if was_stopped { Ok((report, true)) } else { done.map(|()| (report, false)) }
        })?;
        let printed = if global.json { output::json(&report) } else { print(&report) };
        if report.dry_run {
            printed?;
        } else {
            output::of_change(printed)?;
        }
        if was_stopped { Err(Interrupt::failure()) } else { Ok(()) }
    }
}

/// Warns if Sentinel will not publish tokens in Redis, as flask-sentinel always did.
fn warn_about_redis(redis: &RedisSettings) {
    let setting = if redis.url.is_none() {
        "redis.url is not set"
    } else if !redis.publish_tokens {
        "redis.publish_tokens is false"
    } else {
        return;
    };
    output::message(format!(
        "{setting}: resource servers that look tokens up in Redis, such as those with Eve, will reject \
         every token of Sentinel; flask-sentinel published its tokens in redis://localhost:6379/0 \
         unless SENTINEL_REDIS_URL was set"
    ));
}

fn print(report: &ImportReport) -> Result<(), Failure> {
    let kinds =
        [("users", &report.users), ("clients", &report.clients), ("tokens", &report.tokens)];
    let row = |(name, counts): (&str, &ImportCounts)| {
        let numbers = [
            counts.read,
            counts.imported,
            counts.already_imported,
            counts.expired,
            counts.skipped.len() as u64,
        ];
        let [read, imported, already, expired, skipped] = numbers.map(|number| number.to_string());
        [name.to_owned(), read, imported, already, expired, skipped]
    };
    let imported = if report.dry_run { "TO IMPORT" } else { "IMPORTED" };
    let heading = ["", "READ", imported, "ALREADY", "EXPIRED", "SKIPPED"];
    output::table(heading, kinds.into_iter().map(row))?;
    for (name, counts) in kinds {
        for skipped in &counts.skipped {
            output::line(format!(
                "{name}: {} is not imported: {}",
                plain(&skipped.id),
                plain(&skipped.reason)
            ))?;
        }
        for remark in &counts.remarks {
            output::line(format!("{name}: {}: {}", plain(&remark.id), plain(&remark.reason)))?;
        }
    }
    if report.unknown_tokens > 0 {
        output::line(format!(
            "{} access tokens in Redis belong to no imported session: flask-sentinel deleted their \
             records at a later login or refresh; resource servers that look tokens up in Redis \
             accept them until they expire, even if their user is deleted",
            report.unknown_tokens
        ))?;
    }
    Ok(())
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Source(_) => Self::usage(error),
            ImportError::SourceFile(error) => Self::from(error),
            ImportError::NoCollections(_) => Self::refused(error),
            ImportError::Stopped => Self::incomplete(error),
            ImportError::Store(error) => {
                let may_be_done = error.may_be_done();
                Self::from(error).unconfirmed_if(may_be_done)
            }
            ImportError::Read(_) => Self::unavailable(error),
        }
    }
}
