//! Prints clients. Never shows the digest of a secret, and shows the secret itself only when it is
//! created.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use super::super::Global;
use super::super::failure::Failure;
use super::super::listing::{OutputFormat, RowSink};
use super::super::output;
use crate::admin::json::ClientJson;
use crate::domain::{Client, ClientSecret, Scope};
use crate::settings::parse;

pub(super) fn list(global: &Global) -> impl RowSink<Client> {
    let row = |client: &Client| {
        let (id, name) = (client.id.to_string(), client.name.clone());
        [id, kind(client), state(client), grants(client), scopes(&client.scopes), name]
    };
    let heading = ["ID", "TYPE", "STATE", "GRANTS", "SCOPES", "NAME"];
    OutputFormat::of(global.json, ClientJson::of, heading, row)
}

pub(super) fn show(global: &Global, client: &Client) -> Result<(), Failure> {
    if global.json {
        return output::json(&ClientJson::of(client));
    }
    let introspection = match (client.introspection, client.introspect_refresh_tokens) {
        (false, _) => "no",
        (true, false) => "yes",
        (true, true) => "yes, of refresh tokens too",
    };
    output::properties(&[
        ("id", client.id.to_string()),
        ("name", client.name.clone()),
        ("type", kind(client)),
        ("state", state(client)),
        ("grants", grants(client)),
        ("scopes", scopes(&client.scopes)),
        ("default scopes", scopes(&client.default_scopes)),
        ("introspection", introspection.to_owned()),
        ("access token lifetime", lifetime(client.access_token_ttl)),
        ("refresh idle lifetime", lifetime(client.refresh_idle_ttl)),
        ("session lifetime", lifetime(client.session_ttl)),
        ("created", client.created_at.to_string()),
        ("changed", client.updated_at.to_string()),
    ])
}

/// Prints that a client was changed; with `--json`, prints the changed client instead.
pub(super) fn done(global: &Global, client: &Client, what: &str, and: &str) -> Result<(), Failure> {
    output::of_change(if global.json {
        output::json(&ClientJson::of(client))
    } else {
        output::line(format!("{what} client {}{and}", client.id))
    })
}

pub(super) fn deleted(global: &Global, client: &Client) -> Result<(), Failure> {
    output::of_change(if global.json {
        output::json(&json!({ "client_id": client.id.as_str(), "deleted": true }))
    } else {
        output::line(format!("deleted client {} and ended its sessions", client.id))
    })
}

/// Prints the id and secret of a client. The secret is shown only this time.
pub(super) fn credentials(
    global: &Global,
    client: &Client,
    secret: Option<&ClientSecret>,
) -> Result<(), Failure> {
    let (id, secret) = (client.id.as_str(), secret.map(ExposeSecret::expose_secret));
    let printed = match secret {
        _ if global.json => {
            output::json(&NewCredentialsJson { client_id: id, client_secret: secret })
        }
        None => output::properties(&[("client_id", id.to_owned())]),
        Some(secret) => output::properties(&[
            ("client_id", id.to_owned()),
            ("client_secret", secret.to_owned()),
        ])
        .and_then(|()| output::line("\nThe secret is shown only once: it cannot be read again.")),
    };
    output::of_change(printed).map_err(|failure| match secret {
        Some(_) => failure.with_remedy(format!(
            "for another secret, use: sentinel client rotate-secret {}",
            output::plain(id)
        )),
        None => failure,
    })
}

fn kind(client: &Client) -> String {
    if client.is_confidential() { "confidential" } else { "public" }.to_owned()
}

fn grants(client: &Client) -> String {
    client.grants.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" ")
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
struct NewCredentialsJson<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
}
