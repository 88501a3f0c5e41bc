//! `sentinel client export`: all clients with the digests of their secrets, as `client import` reads them.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::Global;
use super::super::failure::Failure;
use super::super::files::{Output, is_standard};
use super::super::output::{self, plain};
use super::view::View;
use crate::domain::{Client, ClientKind};
use crate::store::Page;

const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// Where to, readable for its owner alone; nothing may be there yet; - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    client: View<'a>,
    /// In hexadecimal; null for public clients.
    secret_sha256: Option<String>,
}

#[derive(Serialize)]
struct Done {
    clients: u64,
    file: String,
}

impl Export {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let mut out = Output::create(&self.file)?;
        let clients = global.on_store(async |admin| {
            let mut page = Page::first(PAGE);
            let mut written = 0;
            loop {
                let clients = admin.clients(&page).await?;
                for client in &clients {
                    if !out.write(&line(client)?)? {
                        return Ok(written);
                    }
                    written += 1;
                }
                if clients.len() < PAGE as usize {
                    return Ok(written);
                }
                page.after = clients.last().map(|client| client.id.to_string());
            }
        })?;
        out.finish()?;
        tracing::info!(target: "audit", event = "clients_exported", clients);
        if is_standard(&self.file) {
            return Ok(());
        }
        let file = self.file.display().to_string();
        if global.json {
            return output::json(&Done { clients, file });
        }
        output::line(format!("exported {clients} clients to {}", plain(&file)))
    }
}

fn line(client: &Client) -> Result<Vec<u8>, Failure> {
    let secret_sha256 = match &client.kind {
        ClientKind::Public => None,
        ClientKind::Confidential(digest) => Some(hex::encode(digest.as_bytes())),
    };
    let line = Line { client: View::of(client), secret_sha256 };
    let mut bytes = serde_json::to_vec(&line).map_err(Failure::io)?;
    bytes.push(b'\n');
    Ok(bytes)
}
