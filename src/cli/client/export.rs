//! `sentinel client export`: writes all clients with digests or hashes of their secrets, in the
//! form that `client import` reads.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::Global;
use super::super::bulk::{export, json_line, report_export};
use super::super::failure::{Failure, outcome};
use super::super::files::Output;
use crate::admin::json::ClientJson;
use crate::domain::{Client, ClientKind, StoredSecret};
use crate::observe::audit::operation;
use crate::store::{OpenMode, Page};

#[derive(Debug, Args)]
pub(in crate::cli) struct ExportClients {
    /// New file, which only its owner may read; - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct ClientLine {
    #[serde(flatten)]
    client: ClientJson,
    /// SHA-256 of the client secret in hexadecimal; null for public clients, and with a hash.
    secret_sha256: Option<String>,
    /// Password hash of a client secret that Sentinel did not generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_hash: Option<String>,
}

impl ExportClients {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let out = Output::create(&self.file)?;
        let clients = global.on_store(OpenMode::Read, async |admin| {
            let read = async |page: &Page| admin.clients("", page).await;
            let exporting = export(out, read, line, |_| ());
            let (clients, done) = exporting.await;
            // A failed export is audited too, since some digests may have been written.
            operation!(outcome(&done), event = "clients_exported", clients);
            done.map(|()| clients)
        })?;
        report_export(global, &self.file, "clients", clients)
    }
}

fn line(client: &Client) -> Result<Vec<u8>, Failure> {
    let (secret_sha256, secret_hash) = match &client.kind {
        ClientKind::Public => (None, None),
        ClientKind::Confidential(StoredSecret::Digest(digest)) => {
            (Some(hex::encode(digest.as_bytes())), None)
        }
        ClientKind::Confidential(StoredSecret::Hash(hash)) => {
            (None, Some(hash.encoded().to_owned()))
        }
    };
    let line = ClientLine { client: ClientJson::of(client), secret_sha256, secret_hash };
    json_line(&line)
}
