//! Prints clients. Never shows the digest of a secret, and shows the secret itself only when it is
//! created.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Serialize;

use super::super::Global;
use super::super::failure::Failure;
use super::super::listing::{As, Printer, to_json};
use super::super::output;
use crate::domain::{Client, ClientSecret, Scope};
use crate::settings::parse;

pub(super) fn list(global: &Global) -> impl Printer<Client> {
    let row = |client: &Client| {
        let view = View::of(client);
        let (id, kind, name) = (view.client_id.into(), view.kind.into(), view.name.into());
        [id, kind, state(client), view.grants.join(" "), scopes(&client.scopes), name]
    };
    let view = |client: &Client| to_json(&View::of(client));
    As::wanted(global.json, view, ["ID", "TYPE", "STATE", "GRANTS", "SCOPES", "NAME"], row)
}

pub(super) fn show(global: &Global, client: &Client) -> Result<(), Failure> {
    let view = View::of(client);
    if global.json {
        return output::json(&view);
    }
    let introspection = if view.introspection { "yes" } else { "no" };
    output::properties(&[
        ("id", view.client_id.to_owned()),
        ("name", view.name.to_owned()),
        ("type", view.kind.to_owned()),
        ("state", state(client)),
        ("grants", view.grants.join(" ")),
        ("scopes", scopes(&client.scopes)),
        ("default scopes", scopes(&client.default_scopes)),
        ("introspection", introspection.to_owned()),
        ("access token lifetime", lifetime(client.access_token_ttl)),
        ("refresh idle lifetime", lifetime(client.refresh_idle_ttl)),
        ("session lifetime", lifetime(client.session_ttl)),
        ("created", view.created_at),
        ("changed", view.updated_at),
    ])
}

/// Reports a change of a client. With `--json`, prints the changed client instead.
pub(super) fn done(global: &Global, client: &Client, what: &str, and: &str) -> Result<(), Failure> {
    if global.json {
        return output::json(&View::of(client));
    }
    output::line(format!("{what} client {}{and}", client.id))
}

pub(super) fn deleted(global: &Global, client: &Client) -> Result<(), Failure> {
    if global.json {
        return output::json(&Deleted { client_id: client.id.as_str(), deleted: true });
    }
    output::line(format!("deleted client {} and ended its sessions", client.id))
}

/// Prints the credentials of a client. The secret is shown only this time.
pub(super) fn credentials(
    global: &Global,
    client: &Client,
    secret: Option<&ClientSecret>,
) -> Result<(), Failure> {
    let secret = secret.map(ExposeSecret::expose_secret);
    if global.json {
        let client_id = client.id.as_str();
        return output::json(&Credentials { client_id, client_secret: secret });
    }
    let id = ("client_id", client.id.to_string());
    let Some(secret) = secret else {
        return output::properties(&[id]);
    };
    output::properties(&[id, ("client_secret", secret.to_owned())])?;
    output::line("\nThe secret is shown this once and cannot be read again.")
}

fn state(client: &Client) -> String {
    if client.enabled { "enabled" } else { "disabled" }.to_owned()
}

fn scopes(scopes: &Scope) -> String {
    if scopes.is_empty() { "(none)".to_owned() } else { scopes.to_string() }
}

fn lifetime(own: Option<Duration>) -> String {
    own.map_or_else(|| "(the server's)".to_owned(), parse::show_duration)
}

#[derive(Serialize)]
struct Credentials<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
}

#[derive(Serialize)]
struct Deleted<'a> {
    client_id: &'a str,
    deleted: bool,
}

/// JSON representation of a client, without the digest of its secret.
#[derive(Serialize)]
pub(super) struct View<'a> {
    client_id: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    grants: Vec<&'static str>,
    scopes: Vec<&'a str>,
    default_scopes: Vec<&'a str>,
    /// In seconds; null for the server's default. The next two fields have the same form.
    access_token_ttl: Option<u64>,
    refresh_idle_ttl: Option<u64>,
    session_ttl: Option<u64>,
    introspection: bool,
    enabled: bool,
    created_at: String,
    updated_at: String,
}

impl<'a> View<'a> {
    pub(super) fn of(client: &'a Client) -> Self {
        let seconds = |ttl: Option<Duration>| ttl.map(|ttl| ttl.as_secs());
        Self {
            client_id: client.id.as_str(),
            name: &client.name,
            kind: if client.is_confidential() { "confidential" } else { "public" },
            grants: client.grants.iter().map(|grant| grant.as_str()).collect(),
            scopes: client.scopes.iter().collect(),
            default_scopes: client.default_scopes.iter().collect(),
            access_token_ttl: seconds(client.access_token_ttl),
            refresh_idle_ttl: seconds(client.refresh_idle_ttl),
            session_ttl: seconds(client.session_ttl),
            introspection: client.introspection,
            enabled: client.enabled,
            created_at: client.created_at.to_string(),
            updated_at: client.updated_at.to_string(),
        }
    }
}
