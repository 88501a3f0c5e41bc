//! Pages that list, register, change and delete clients, and show each new secret once.

use actix_web::{HttpResponse, web};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::desk::{Desk, cut};
use super::fields::{Fields, Posted};
use super::form::Form;
use super::links::{encoded, with_query};
use super::views::ClientView;
use super::{Failure, client_form};
use crate::admin::{AdminError, ClientChange, NewClient};
use crate::domain::{Client, ClientSecret, Lifetimes, show_duration};

const SECTION: &str = "clients";

#[derive(Serialize)]
pub(super) struct ListView {
    pub(super) query: String,
    /// Whether this is the first page of the list.
    pub(super) first: bool,
    pub(super) clients: Vec<ClientView>,
    /// URL of the next page.
    pub(super) next: Option<String>,
}

/// Lifetimes of the server, for clients that have none of their own.
#[derive(Serialize)]
pub(super) struct Server {
    access_token_ttl: String,
    refresh_idle_ttl: String,
    session_ttl: String,
}

#[derive(Serialize)]
pub(super) struct NewView {
    pub(super) form: Form,
    pub(super) server: Server,
}

#[derive(Serialize)]
pub(super) struct ClientPage {
    pub(super) client: ClientView,
    pub(super) form: Form,
    pub(super) server: Server,
    /// URL of the list of the client's sessions.
    pub(super) sessions_url: String,
}

#[derive(Serialize)]
pub(super) struct ConfirmView {
    pub(super) client: ClientView,
}

#[derive(Serialize)]
pub(super) struct SecretView {
    pub(super) client: ClientView,
    pub(super) secret: String,
    /// Whether the client was registered by this request.
    pub(super) added: bool,
}

impl Server {
    pub(super) fn of(lifetimes: &Lifetimes) -> Self {
        Self {
            access_token_ttl: show_duration(lifetimes.access_token),
            refresh_idle_ttl: show_duration(lifetimes.refresh_idle),
            session_ttl: show_duration(lifetimes.session),
        }
    }
}

pub(super) async fn list(desk: Desk) -> Result<HttpResponse, Failure> {
    let (query, page) = (desk.query.get("q").to_owned(), desk.page());
    let mut clients = desk.admin().search_clients(&query, &page).await?;
    let more = cut(&mut clients);
    let next = clients.last().filter(|_| more).map(|last| {
        let path = format!("{}/clients", desk.base());
        with_query(&path, &[("q", &query), ("after", last.id.as_str())])
    });
    let clients = clients.iter().map(|client| view(&desk, client)).collect();
    let view = ListView { query, first: page.cursor.is_none(), clients, next };
    desk.show(SECTION, "management/clients.html", &view)
}

pub(super) async fn new(desk: Desk) -> Result<HttpResponse, Failure> {
    let view = NewView { form: client_form::blank(), server: server(&desk) };
    desk.show(SECTION, "management/client_new.html", &view)
}

/// Registers a client. The secret of a confidential client is in the response and not in a
/// redirect, so that it appears in no URL.
pub(super) async fn add(desk: Desk, Posted(fields): Posted) -> Result<HttpResponse, Failure> {
    let mut form = client_form::typed(&fields);
    let confidential = client_form::is_confidential(&fields);
    if let Some(read) = client_form::read(&fields, confidential, None, &mut form) {
        let new = NewClient {
            name: read.name,
            confidential,
            grants: read.grants,
            scopes: read.scopes,
            default_scopes: read.default_scopes,
            access_token_ttl: read.access_token_ttl,
            refresh_idle_ttl: read.refresh_idle_ttl,
            session_ttl: read.session_ttl,
            introspection: read.introspection,
        };
        match desk.admin().add_client(new).await {
            Ok((client, Some(secret))) => return tell(&desk, &client, &secret, true),
            Ok((client, None)) => return Ok(to_client(&desk, &client, "client-added")),
            Err(error) => client_form::refused(error, &mut form)?,
        }
    }
    let view = NewView { form, server: server(&desk) };
    desk.show_again(SECTION, "management/client_new.html", &view)
}

pub(super) async fn show(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let client = desk.admin().client(&id).await?;
    let view = page(&desk, &client, client_form::of_client(&client));
    desk.show(SECTION, "management/client.html", &view)
}

pub(super) async fn edit(
    desk: Desk,
    id: web::Path<String>,
    Posted(fields): Posted,
) -> Result<HttpResponse, Failure> {
    let (client, versions) = (desk.admin().client(&id).await?, fields.versions());
    if versions.check(client.version).is_err() {
        return show_changed(&desk, &client, &fields);
    }
    let mut form = client_form::typed(&fields);
    if let Some(read) =
        client_form::read(&fields, client.is_confidential(), Some(&client.name), &mut form)
    {
        let change = ClientChange {
            name: Some(read.name).filter(|name| *name != client.name),
            grants: Some(read.grants),
            scopes: Some(read.scopes),
            default_scopes: Some(read.default_scopes),
            access_token_ttl: Some(read.access_token_ttl),
            refresh_idle_ttl: Some(read.refresh_idle_ttl),
            session_ttl: Some(read.session_ttl),
            introspection: Some(read.introspection),
            ..ClientChange::default()
        };
        match desk.admin().edit_client_if(&client.id, &change, &versions).await {
            Ok(client) => return Ok(to_client(&desk, &client, "client-changed")),
            Err(AdminError::OtherVersion) => {
                return show_changed(&desk, &desk.admin().client(&id).await?, &fields);
            }
            Err(error) => client_form::refused(error, &mut form)?,
        }
    }
    let view = page(&desk, &client, form);
    desk.show_again(SECTION, "management/client.html", &view)
}

/// Responds to a form for a client that was changed after the form was opened. The form has all
/// values of the client, so saving it would undo that change.
fn show_changed(desk: &Desk, client: &Client, fields: &Fields) -> Result<HttpResponse, Failure> {
    let (confidential, name) = (client.is_confidential(), Some(client.name.as_str()));
    let asked = client_form::read(fields, confidential, name, &mut Form::default());
    if asked.is_some_and(|asked| asked.is_there(client)) {
        // The form was submitted twice.
        return Ok(to_client(desk, client, "client-changed"));
    }
    let view = page(desk, client, client_form::of_changed(client, fields));
    desk.show_changed(SECTION, "management/client.html", &view)
}

pub(super) async fn disable(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    set_enabled(&desk, &id, false).await
}

pub(super) async fn enable(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    set_enabled(&desk, &id, true).await
}

/// Enables or disables a client. This is not part of the form with the other values: a form that
/// was opened before the client was disabled must not enable it again.
async fn set_enabled(desk: &Desk, id: &str, enabled: bool) -> Result<HttpResponse, Failure> {
    let client = desk.admin().client(id).await?;
    let change = ClientChange { enabled: Some(enabled), ..ClientChange::default() };
    let client = desk.admin().edit_client(&client.id, &change).await?;
    Ok(to_client(desk, &client, if enabled { "client-enabled" } else { "client-disabled" }))
}

/// Asks for confirmation before a client gets a new secret.
pub(super) async fn confirm_rotation(
    desk: Desk,
    id: web::Path<String>,
) -> Result<HttpResponse, Failure> {
    let client = desk.admin().client(&id).await?;
    if !client.is_confidential() {
        return Err(Failure::NoSuchPage);
    }
    let view = ConfirmView { client: view(&desk, &client) };
    desk.show(SECTION, "management/client_secret_new.html", &view)
}

pub(super) async fn rotate(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let client = desk.admin().client(&id).await?;
    if !client.is_confidential() {
        return Err(Failure::NoSuchPage);
    }
    let secret = desk.admin().rotate_secret(&client.id).await?;
    tell(&desk, &client, &secret, false)
}

/// Asks for confirmation before a client is deleted.
pub(super) async fn confirm(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let client = desk.admin().client(&id).await?;
    let view = ConfirmView { client: view(&desk, &client) };
    desk.show(SECTION, "management/client_delete.html", &view)
}

pub(super) async fn delete(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let client = desk.admin().client(&id).await?;
    desk.admin().delete_client(&client.id).await?;
    Ok(desk.see_other("/clients?done=client-deleted"))
}

/// Shows a new secret. No other page shows it.
fn tell(
    desk: &Desk,
    client: &Client,
    secret: &ClientSecret,
    added: bool,
) -> Result<HttpResponse, Failure> {
    let secret = secret.expose_secret().to_owned();
    let view = SecretView { client: view(desk, client), secret, added };
    desk.show(SECTION, "management/client_secret.html", &view)
}

fn view(desk: &Desk, client: &Client) -> ClientView {
    ClientView::of(client, desk.base(), desk.now())
}

fn server(desk: &Desk) -> Server {
    Server::of(desk.server_lifetimes())
}

fn page(desk: &Desk, client: &Client, form: Form) -> ClientPage {
    let sessions = format!("{}/sessions", desk.base());
    ClientPage {
        client: view(desk, client),
        form,
        server: server(desk),
        sessions_url: with_query(&sessions, &[("client", client.id.as_str())]),
    }
}

fn to_client(desk: &Desk, client: &Client, done: &str) -> HttpResponse {
    desk.see_other(&format!("/clients/{}?done={done}", encoded(client.id.as_str())))
}
