//! `sentinel user export`: all users with their hashes, as `user import` reads them.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::Global;
use super::super::failure::Failure;
use super::super::files::{Format, Output, is_standard};
use super::super::output::{self, plain};
use super::super::progress::Progress;
use crate::domain::User;
use crate::import::users::NO_SCOPE;
use crate::store::Page;

const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// Where to, readable for its owner alone; nothing may be there yet; - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to write, where the name of the file does not say
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    username: &'a str,
    hash: &'a str,
    /// Null puts no limit beside the client's.
    scopes: Option<Vec<&'a str>>,
    enabled: bool,
}

#[derive(Serialize)]
struct Done {
    file: String,
    users: u64,
}

impl Export {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let format = Format::of(self.format, &self.file)?;
        let mut out = Output::create(&self.file)?;
        let progress = Progress::counting(global.json || is_standard(&self.file));
        let users = global.on_store(async |admin| {
            let mut page = Page::first(PAGE);
            let mut written = 0;
            if format == Format::Csv {
                out.write(&record(["id", "username", "hash", "scopes", "enabled"])?)?;
            }
            loop {
                let users = admin.users(&page).await?;
                for user in &users {
                    let bytes = match format {
                        Format::Csv => cells(user)?,
                        Format::Jsonl => line(user)?,
                    };
                    if !out.write(&bytes)? {
                        return Ok(written);
                    }
                    written += 1;
                }
                progress.at(written, "users");
                if users.len() < PAGE as usize {
                    return Ok(written);
                }
                page.after = users.last().map(|user| user.username.clone());
            }
        });
        drop(progress);
        let users = users?;
        out.finish()?;
        tracing::info!(target: "audit", event = "users_exported", users);
        if is_standard(&self.file) {
            return Ok(());
        }
        let file = self.file.display().to_string();
        if global.json {
            return output::json(&Done { file, users });
        }
        output::line(format!("exported {users} users to {}", plain(&file)))
    }
}

fn line(user: &User) -> Result<Vec<u8>, Failure> {
    let line = Line {
        id: user.id.to_string(),
        username: &user.username,
        hash: user.password.encoded(),
        scopes: user.scopes.as_ref().map(|scopes| scopes.iter().collect()),
        enabled: user.enabled,
    };
    let mut bytes = serde_json::to_vec(&line).map_err(Failure::io)?;
    bytes.push(b'\n');
    Ok(bytes)
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
