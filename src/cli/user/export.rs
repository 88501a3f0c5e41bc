//! `sentinel user export`: writes all users with their password hashes, in the form that
//! `user import` reads.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::Global;
use super::super::bulk::{export, json_line, report_export};
use super::super::failure::{Failure, outcome};
use super::super::files::{Format, Output, is_standard};
use super::super::progress::Progress;
use crate::domain::User;
use crate::import::users::NO_SCOPE;
use crate::observe::audit::operation;
use crate::store::{OpenMode, Page};

#[derive(Debug, Args)]
pub(in crate::cli) struct ExportUsers {
    /// New file, which only its owner may read; - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File format; by default, the file name extension determines it
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Serialize)]
struct UserLine<'a> {
    id: String,
    username: &'a str,
    hash: &'a str,
    /// Scopes that the user may be granted; null for no limit beyond the client's.
    scopes: Option<Vec<&'a str>>,
    enabled: bool,
}

impl ExportUsers {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let format = Format::of(self.format, &self.file)?;
        let mut out = Output::create(&self.file)?;
        let progress = Progress::counting(global.json || is_standard(&self.file));
        let users = global.on_store(OpenMode::Read, async |admin| {
            if format == Format::Csv {
                out.write(&record(["id", "username", "hash", "scopes", "enabled"])?)?;
            }
            let read = async |page: &Page| admin.users("", page).await;
            let record = |user: &User| match format {
                Format::Csv => cells(user),
                Format::Jsonl => line(user),
            };
            let report_progress = |written| progress.at(written, "users");
            let exporting = export(out, read, record, report_progress);
            let (users, done) = exporting.await;
            // A failed export is audited too, since some hashes may have been written.
            operation!(outcome(&done), event = "users_exported", users);
            done.map(|()| users)
        });
        drop(progress);
        report_export(global, &self.file, "users", users?)
    }
}

fn line(user: &User) -> Result<Vec<u8>, Failure> {
    let line = UserLine {
        id: user.id.to_string(),
        username: &user.username,
        hash: user.password.encoded(),
        scopes: user.scopes.as_ref().map(|scopes| scopes.iter().collect()),
        enabled: user.enabled,
    };
    json_line(&line)
}

fn cells(user: &User) -> Result<Vec<u8>, Failure> {
    let scopes = match &user.scopes {
        None => "",
        Some(scopes) if scopes.is_empty() => NO_SCOPE,
        Some(scopes) => scopes.as_str(),
    };
    let enabled = if user.enabled { "true" } else { "false" };
    record([&user.id.to_string(), &user.username, user.password.encoded(), scopes, enabled])
}

fn record(cells: [&str; 5]) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells).map_err(Failure::io)?;
    writer.into_inner().map_err(Failure::io)
}
