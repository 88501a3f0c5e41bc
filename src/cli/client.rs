//! `sentinel client`: manages registered clients. [`printing`] prints them.

mod export;
mod import;
mod printing;
mod rows;
mod secret;

use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use super::Global;
use super::confirm::Confirmation;
use super::failure::Failure;
use super::listing::ListLimit;
use super::output::plain;
use super::user::union;
use crate::admin::{Admin, ClientChange, NewClient, Versions};
use crate::domain::{self, ClientKind, Grant, Scope};
use crate::settings::parse;
use crate::store::{OpenMode, Page};
use secret::SecretInput;

#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Registers a client; the secret of a confidential client is shown only this once
    Add(AddClient),
    /// Lists clients in the order of their ids
    List(ListClients),
    /// Shows a client
    Show(NamedClient),
    /// Changes a client
    Edit(EditClient),
    /// Rotates a client secret: shows the new one only this once, and invalidates the old one
    RotateSecret(NamedClient),
    /// Disables a client, and ends its sessions
    Disable(NamedClient),
    /// Enables a disabled client
    Enable(NamedClient),
    /// Deletes a client, and ends its sessions
    Delete(DeleteClient),
    /// Registers many clients from a file, with their secrets or digests of them; safe to repeat
    Import(import::ImportClients),
    /// Writes all clients with digests or hashes of their secrets to a new file
    Export(export::ExportClients),
}

#[derive(Debug, Args)]
pub(super) struct AddClient {
    #[command(flatten)]
    options: ClientOptions,
    /// Makes the client confidential, and generates its secret
    #[arg(long, required_if_eq("secret_stdin", "true"))]
    confidential: bool,
    #[command(flatten)]
    secret: SecretInput,
}

/// Properties that `add` sets and `edit` changes.
#[derive(Debug, Args)]
struct ClientOptions {
    /// Display name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Permitted grant: password, refresh_token or client_credentials; may be repeated; by default,
    /// a new client has all grants of its type
    #[arg(long, value_name = "GRANT")]
    grant: Vec<Grant>,
    /// Permitted scopes, beside the default scopes; separated by spaces, and may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Option<Vec<Scope>>,
    /// Scopes granted to requests without a scope; separated by spaces, and may be repeated
    #[arg(long, value_name = "SCOPE")]
    default_scope: Option<Vec<Scope>>,
    /// Permits introspection (confidential clients only)
    #[arg(long)]
    introspection: bool,
    /// Reports refresh tokens to the client at introspection too; not for resource servers
    #[arg(long)]
    introspect_refresh_tokens: bool,
    /// Lifetime of access tokens, in seconds or as 15m or 30d; "default" is the server's
    #[arg(long, value_name = "TIME")]
    access_token_ttl: Option<Ttl>,
    /// Idle lifetime of refresh tokens, in seconds or as 15m or 30d; "default" is the server's
    #[arg(long, value_name = "TIME")]
    refresh_idle_ttl: Option<Ttl>,
    /// Absolute lifetime of sessions, in seconds or as 15m or 30d; "default" is the server's
    #[arg(long, value_name = "TIME")]
    session_ttl: Option<Ttl>,
}

#[derive(Debug, Args)]
pub(super) struct ListClients {
    #[command(flatten)]
    limit: ListLimit,
    /// Starts after the client with this id
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct NamedClient {
    /// The client's id
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct DeleteClient {
    #[command(flatten)]
    client: NamedClient,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args([
    "name", "grant", "scope", "default_scope", "introspection", "no_introspection",
    "introspect_refresh_tokens", "no_introspect_refresh_tokens", "access_token_ttl", "refresh_idle_ttl", "session_ttl",
    "secret_stdin",
]))]
pub(super) struct EditClient {
    #[command(flatten)]
    client: NamedClient,
    #[command(flatten)]
    options: ClientOptions,
    /// Removes the introspection permission, also for refresh tokens
    #[arg(long, conflicts_with = "introspection")]
    no_introspection: bool,
    /// Removes the permission for refresh tokens at introspection
    #[arg(long, conflicts_with = "introspect_refresh_tokens")]
    no_introspect_refresh_tokens: bool,
    #[command(flatten)]
    secret: SecretInput,
}

/// Lifetime of a client's tokens or sessions; `None` for the server's default.
#[derive(Clone, Copy, Debug)]
struct Ttl(Option<Duration>);

impl FromStr for Ttl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "default" {
            return Ok(Self(None));
        }
        match parse::lifetime(text) {
            Some(ttl) => Ok(Self(Some(ttl))),
            None => Err(format!("expected {}; or default", parse::LIFETIME)),
        }
    }
}

impl ClientCommand {
    pub(super) fn run(self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(global),
            Self::List(list) => list.run(global),
            Self::Show(client) => show(global, &client),
            Self::Edit(edit) => edit.run(global),
            Self::RotateSecret(client) => rotate_secret(global, &client),
            Self::Disable(client) => set_enabled(global, &client, false),
            Self::Enable(client) => set_enabled(global, &client, true),
            Self::Delete(delete) => delete.run(global),
            Self::Import(import) => import.run(global),
            Self::Export(export) => export.run(global),
        }
    }
}

impl AddClient {
    fn run(self, global: &Global) -> Result<(), Failure> {
        let ClientOptions { name, grant, scope, default_scope, introspection, .. } = self.options;
        let new = NewClient {
            name: name.unwrap_or_default(),
            confidential: self.confidential,
            secret: self.secret.read(global)?,
            grants: (!grant.is_empty()).then(|| grant.into_iter().collect()),
            scopes: union(&scope.unwrap_or_default()),
            default_scopes: union(&default_scope.unwrap_or_default()),
            access_token_ttl: self.options.access_token_ttl.and_then(|ttl| ttl.0),
            refresh_idle_ttl: self.options.refresh_idle_ttl.and_then(|ttl| ttl.0),
            session_ttl: self.options.session_ttl.and_then(|ttl| ttl.0),
            introspection,
            introspect_refresh_tokens: self.options.introspect_refresh_tokens,
        };
        let (client, secret) =
            global.on_store(OpenMode::Create, async |admin| Ok(admin.add_client(new).await?))?;
        printing::credentials(global, &client, secret.as_ref())
    }
}

impl ListClients {
    fn run(self, global: &Global) -> Result<(), Failure> {
        let to = printing::list(global);
        global.on_store(OpenMode::Read, async |admin| {
            let read = async |page: &Page| admin.clients("", page).await;
            self.limit.print(self.after, read, to).await
        })
    }
}

impl EditClient {
    fn run(self, global: &Global) -> Result<(), Failure> {
        let ClientOptions { name, grant, scope, default_scope, introspection, .. } = self.options;
        let refresh_tokens = self.options.introspect_refresh_tokens;
        let change = ClientChange {
            name,
            grants: (!grant.is_empty()).then(|| grant.into_iter().collect()),
            scopes: scope.as_deref().map(union),
            default_scopes: default_scope.as_deref().map(union),
            access_token_ttl: self.options.access_token_ttl.map(|ttl| ttl.0),
            refresh_idle_ttl: self.options.refresh_idle_ttl.map(|ttl| ttl.0),
            session_ttl: self.options.session_ttl.map(|ttl| ttl.0),
            introspection: (introspection || self.no_introspection).then_some(introspection),
            introspect_refresh_tokens: (refresh_tokens || self.no_introspect_refresh_tokens)
                .then_some(refresh_tokens),
            kind: self.secret.read(global)?.map(ClientKind::Confidential),
            ..ClientChange::default()
        };
        let client = global
            .on_store(OpenMode::Write, async |admin| edit(admin, &self.client, &change).await)?;
        printing::done(global, &client, "changed", "")
    }
}

fn show(global: &Global, client: &NamedClient) -> Result<(), Failure> {
    let read = async |admin: &Admin| Ok(admin.client(&client.id).await?);
    let client = global.on_store(OpenMode::Read, read)?;
    printing::show(global, &client)
}

fn rotate_secret(global: &Global, client: &NamedClient) -> Result<(), Failure> {
    let rotated = global.on_store(OpenMode::Write, async |admin| {
        let id = admin.client(&client.id).await?.id;
        Ok(admin.rotate_secret(&id, Versions::Any).await?)
    })?;
    let (client, secret) = rotated.value;
    // The secret cannot be shown later.
    printing::credentials(global, &client, Some(&secret))?;
    Ok(rotated.invalidation?)
}

fn set_enabled(global: &Global, client: &NamedClient, enabled: bool) -> Result<(), Failure> {
    let change = ClientChange { enabled: Some(enabled), ..ClientChange::default() };
    let client =
        global.on_store(OpenMode::Write, async |admin| edit(admin, client, &change).await)?;
    if enabled {
        return printing::done(global, &client, "enabled", "");
    }
    printing::done(global, &client, "disabled", " and ended its sessions")
}

impl DeleteClient {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        let client = global.on_store(OpenMode::Write, async |admin| {
            let client = admin.client(&self.client.id).await?;
            let (id, name) = (&client.id, plain(&client.name));
            self.confirmation.ask(&format!("Delete client {id} ({name}) and end its sessions"))?;
            admin.delete_client(&client.id, &Versions::Any).await?;
            Ok(client)
        })?;
        printing::deleted(global, &client)
    }
}

async fn edit(
    admin: &Admin,
    client: &NamedClient,
    to: &ClientChange,
) -> Result<domain::Client, Failure> {
    let id = admin.client(&client.id).await?.id;
    Ok(admin.edit_client(&id, to).await?)
}
