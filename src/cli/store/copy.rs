//! `sentinel store copy`: copies all data to another store.

use std::path::Path;

use clap::Args;
use secrecy::ExposeSecret;

use super::super::failure::Failure;
use super::super::global::{Global, open, open_for_dry_run};
use super::super::interrupt::Interrupt;
use super::super::output;
use super::super::progress::Progress;
use crate::app::{StartError, open_stores};
use crate::domain::SystemClock;
use crate::settings::{Backend, ReadPreference, Settings, Sources, StoreSettings};
use crate::store::copying::{CopyCounts, CopyError, CopyReport, copy};
use crate::store::{OpenMode, StoreError};

#[derive(Debug, Args)]
pub(in crate::cli) struct Copy {
    /// Target: path or mongodb://HOST/DATABASE; if it has a password, use the environment variable
    #[arg(long, value_name = "STORE", env = "SENTINEL_COPY_TO", hide_env_values = true)]
    to: String,
    /// Reports the changes, and writes nothing
    #[arg(long)]
    dry_run: bool,
}

impl Copy {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let mut source = global.settings()?;
        // A secondary may lag behind the primary.
        source.mongo.read_preference = Some(ReadPreference::Primary);
        let target = self.target()?;
        if is_same_store(&source, &target) {
            return Err(CopyError::Same.into());
        }
        let interrupt = Interrupt::watch()?;
        let progress = Progress::counting(global.json);
        let result = global.with_log(&source, async || {
            let mode = if self.dry_run { OpenMode::Read } else { OpenMode::Write };
            let from = open_stores(&source, mode).await?;
            let to = if self.dry_run {
                open_for_dry_run(&target).await
            } else {
                open(&target, OpenMode::Create).await.map(Some)
            };
            let to = to.map_err(|error| match error {
                StartError::Store(StoreError::Configuration(reason)) => {
                    Failure::usage(format!("--to: {reason}"))
                }
                error => error.into(),
            })?;
            let report_progress = |kind: &'static str, count| progress.at(count, kind);
            let (clock, stop) = (&SystemClock, interrupt.flag());
            let report =
                copy(&from, to.as_ref(), self.dry_run, clock, &report_progress, &stop).await?;
            if !report.dry_run {
                tracing::info!(
                    target: "audit", event = "store_copied", complete = !report.stopped,
                    users = report.users.written, clients = report.clients.written,
                    sessions = report.sessions.written,
                );
            }
            Ok(report)
        });
        drop(progress);
        let report = result?;
        let printed = if global.json { output::json(&report) } else { print(&report) };
        if report.dry_run {
            printed?;
        } else {
            output::of_change(printed)?;
        }
        if report.stopped { Err(Interrupt::failure()) } else { Ok(()) }
    }

    /// Returns the settings of the target store. Settings of the source store do not apply to it.
    fn target(&self) -> Result<Settings, Failure> {
        let is_mongodb = self.to.starts_with("mongodb://") || self.to.starts_with("mongodb+srv://");
        if !is_mongodb && !StoreSettings::is_path(&self.to) {
            return Err(Failure::usage(
                "--to must be the path of a file, or mongodb://HOST/DATABASE",
            ));
        }
        let overrides = if is_mongodb {
            vec![
                ("store.backend", "mongodb"),
                ("mongo.uri", &*self.to),
                ("mongo.read_preference", "primary"),
            ]
        } else {
            vec![("store.backend", "embedded"), ("store.path", &*self.to)]
        };
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let overrides = overrides.into_iter().map(owned).collect();
        Ok(Settings::load(&Sources { overrides, ..Sources::default() })?)
    }
}

/// Returns whether the settings show that source and target are the same store. The copy itself
/// detects the cases that settings do not show.
fn is_same_store(source: &Settings, target: &Settings) -> bool {
    match (source.store.backend, target.store.backend) {
        (Backend::Embedded, Backend::Embedded) => {
            is_same_file(&source.store.path, &target.store.path)
        }
        (Backend::Mongodb, Backend::Mongodb) => {
            source.mongo.uri.expose_secret() == target.mongo.uri.expose_secret()
                && source.mongo.dbname == target.mongo.dbname
        }
        _ => false,
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

fn print(report: &CopyReport) -> Result<(), Failure> {
    let kinds = [
        ("users", report.users),
        ("clients", report.clients),
        ("sessions", report.sessions),
        ("imported tokens", report.aliases),
        ("import records", report.imported),
    ];
    let row = |(name, counts): (&str, CopyCounts)| {
        let [read, written, removed] =
            [counts.read, counts.written, counts.removed].map(|number| number.to_string());
        [name.to_owned(), read, written, removed]
    };
    let heading = if report.dry_run {
        ["", "IN THE SOURCE", "TO WRITE", "TO REMOVE"]
    } else {
        ["", "IN BOTH", "WRITTEN", "REMOVED"]
    };
    output::table(heading, kinds.into_iter().map(row))
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Same | CopyError::InUse(_) | CopyError::BecameInUse => Self::refused(error),
            CopyError::Differs(_) => Self::incomplete(error),
            CopyError::Store(error) => error.into(),
        }
    }
}
