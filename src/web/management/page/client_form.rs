//! Forms for clients: fills them in and validates what was submitted.

use std::collections::BTreeSet;
use std::time::Duration;

use super::form_view::FormView;
use super::page_error::PageError;
use super::posted_form::PostedFields;
use super::user_form::{changed_message, scope, sentence};
use crate::admin::{AdminError, NewClient};
use crate::domain::{
    Client, Grant, MAX_CLIENT_NAME_BYTES, check_client_name, parse_lifetime, show_duration,
};

const CONFIDENTIAL: &str = "confidential";
const PUBLIC: &str = "public";

/// Names of the check boxes for permissions in the client form.
const PERMISSIONS: [&str; 2] = ["introspection", "introspect_refresh_tokens"];

const LIFETIMES: [&str; 3] = ["access_token_ttl", "refresh_idle_ttl", "session_ttl"];

/// Returns whether a client already has all values of a submitted client form.
pub(super) fn is_saved(form: &NewClient, client: &Client) -> bool {
    let lifetimes = (form.access_token_ttl, form.refresh_idle_ttl, form.session_ttl);
    form.name == client.name
        && form.grants.as_ref() == Some(&client.grants)
        && form.scopes.union(&form.default_scopes) == client.scopes
        && form.default_scopes == client.default_scopes
        && lifetimes == (client.access_token_ttl, client.refresh_idle_ttl, client.session_ttl)
        && form.introspection == client.introspection
        && form.introspect_refresh_tokens == client.introspect_refresh_tokens
}

/// Returns the name of the check box for a grant type in the client form.
const fn name_of(grant: Grant) -> &'static str {
    match grant {
        Grant::Password => "grant_password",
        Grant::RefreshToken => "grant_refresh_token",
        Grant::ClientCredentials => "grant_client_credentials",
    }
}

/// Returns the HTML form for a new client of the type `kind`; of the public type if it is unknown.
pub(super) fn of_kind(kind: &str) -> FormView {
    blank().with("kind", if kind == CONFIDENTIAL { CONFIDENTIAL } else { PUBLIC })
}

/// Returns whether the text is a type of clients.
pub(super) fn is_kind(text: &str) -> bool {
    [PUBLIC, CONFIDENTIAL].contains(&text)
}

/// Returns the HTML form for a new public client, with every grant type but client credentials.
pub(super) fn blank() -> FormView {
    let form = FormView::default().with("name", "").with("kind", PUBLIC).with("grants", "");
    let form = form.with("scopes", "").with("default_scopes", "");
    let form = LIFETIMES.into_iter().fold(form, |form, name| form.with(name, ""));
    let form = PERMISSIONS.into_iter().fold(form, |form, name| form.with_box(name, false));
    let usual = |grant| grant != Grant::ClientCredentials;
    Grant::ALL.into_iter().fold(form, |form, grant| form.with_box(name_of(grant), usual(grant)))
}

/// Returns the HTML form for a client, filled in with the client's present values.
pub(super) fn of_client(client: &Client) -> FormView {
    let ttl = |ttl: Option<Duration>| ttl.map(show_duration).unwrap_or_default();
    let form = blank()
        .with("name", client.name.as_str())
        .with("kind", if client.is_confidential() { CONFIDENTIAL } else { PUBLIC })
        .with("scopes", client.scopes.as_str())
        .with("default_scopes", client.default_scopes.as_str())
        .with("access_token_ttl", ttl(client.access_token_ttl))
        .with("refresh_idle_ttl", ttl(client.refresh_idle_ttl))
        .with("session_ttl", ttl(client.session_ttl))
        .with_box("introspection", client.introspection)
        .with_box("introspect_refresh_tokens", client.introspect_refresh_tokens);
    let form = form.with("version", client.version.to_string());
    let has = |grant| client.grants.contains(&grant);
    Grant::ALL.into_iter().fold(form, |form, grant| form.with_box(name_of(grant), has(grant)))
}

/// Returns the HTML form for a client that was changed after the form was opened: the client's
/// present values, and beside each field the submitted value if it differs.
pub(super) fn of_changed(client: &Client, fields: &PostedFields) -> FormView {
    let mut form = of_client(client).with_submitted(&submitted(fields), &["version", "kind"]);
    form.set_error("version", changed_message("client"));
    form
}

/// Returns the HTML form for a client, filled in with the submitted `fields`.
pub(super) fn submitted(fields: &PostedFields) -> FormView {
    let texts = ["name", "scopes", "default_scopes", "version"].into_iter().chain(LIFETIMES);
    let form = texts.fold(blank(), |form, name| form.with(name, fields.get(name)));
    let kind = if is_confidential(fields) { CONFIDENTIAL } else { PUBLIC };
    let boxes = Grant::ALL.into_iter().map(name_of).chain(PERMISSIONS);
    boxes.fold(form.with("kind", kind), |form, name| form.with_box(name, fields.is_on(name)))
}

pub(super) fn is_confidential(fields: &PostedFields) -> bool {
    fields.get("kind") == CONFIDENTIAL
}

/// Validates the submitted `fields` of a client, and returns the values. If one is invalid, sets
/// the error messages in `form` and returns `None`. `has` is the client's present name, which is
/// always valid, even if a new client could not have it.
pub(super) fn read(
    fields: &PostedFields,
    confidential: bool,
    has: Option<&str>,
    form: &mut FormView,
) -> Option<NewClient> {
    let typed = fields.get("name");
    let kept = has.filter(|has| *has == typed).map(|has| Ok(has.to_owned()));
    let name = form.check("name", kept.unwrap_or_else(|| name(typed)));
    let grants = form.check("grants", grants(fields, confidential));
    let scopes = form.check("scopes", scope(fields.get("scopes")));
    let default_scopes = form.check("default_scopes", scope(fields.get("default_scopes")));
    let [access, refresh, session] =
        LIFETIMES.map(|name| form.check(name, lifetime(fields.get(name))));
    let introspection = fields.is_on("introspection");
    if introspection && !confidential {
        form.set_error("introspection", "Only a confidential client may introspect.");
        return None;
    }
    let introspect_refresh_tokens = fields.is_on("introspect_refresh_tokens");
    if introspect_refresh_tokens && !introspection {
        form.set_error("introspect_refresh_tokens", "This requires the permission Introspection.");
        return None;
    }
    Some(NewClient {
        name: name?,
        confidential,
        secret: None,
        grants: Some(grants?),
        scopes: scopes?,
        default_scopes: default_scopes?,
        access_token_ttl: access?,
        refresh_idle_ttl: refresh?,
        session_ttl: session?,
        introspection,
        introspect_refresh_tokens,
    })
}

fn name(name: &str) -> Result<String, String> {
    if name.len() > MAX_CLIENT_NAME_BYTES {
        let length = name.len();
        return Err(format!(
            "The name has {length} bytes; at most {MAX_CLIENT_NAME_BYTES} are allowed."
        ));
    }
    let checked = check_client_name(name);
    checked.map(|()| name.to_owned()).map_err(|error| sentence(&error.to_string()))
}

fn grants(fields: &PostedFields, confidential: bool) -> Result<BTreeSet<Grant>, &'static str> {
    let ticked = |grant: &Grant| fields.is_on(name_of(*grant));
    let grants: BTreeSet<Grant> = Grant::ALL.into_iter().filter(ticked).collect();
    if grants.is_empty() {
        return Err("Choose at least one grant.");
    }
    if grants.contains(&Grant::ClientCredentials) && !confidential {
        return Err("The client credentials grant is for confidential clients.");
    }
    Ok(grants)
}

/// Parses the lifetime in a form field; `None` (an empty field) stands for the server's default.
fn lifetime(text: &str) -> Result<Option<Duration>, &'static str> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    parse_lifetime(text)
        .map(Some)
        .ok_or("Enter a duration such as 900, 15m, 1h30m or 30d, or leave it empty.")
}

/// Shows [`AdminError::Invalid`] as the error of the form's grant types. Returns any other error.
pub(super) fn show_error(error: AdminError, form: &mut FormView) -> Result<(), PageError> {
    match error {
        AdminError::Invalid(message) => form.set_error("grants", sentence(message)),
        error => return Err(error.into()),
    }
    Ok(())
}
