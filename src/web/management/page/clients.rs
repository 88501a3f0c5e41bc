//! Pages that list, register, change and delete clients, and show each new secret once.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::client_form;
use super::connect::ConnectView;
use super::counted_range::{MAX_COUNTED, RangeView};
use super::form_view::{FormErrorView, FormView};
use super::page_context::PageContext;
use super::page_error::{PageError, PageResult};
use super::posted_form::{PostedFields, PostedForm};
use super::urls::{encoded, with_query};
use super::views::ClientView;
use crate::admin::{AdminError, ClientChange, Versions};
use crate::domain::{Client, ClientSecret, Lifetimes, show_duration};
use crate::store::StoreError;
use crate::web::error::log_unavailable;

const SECTION: &str = "clients";

#[derive(Serialize)]
pub(super) struct ClientListView {
    pub(super) query: String,
    /// Whether the page is the first one of the list of clients.
    pub(super) first: bool,
    pub(super) clients: Vec<ClientView>,
    /// Position of the page in the list.
    pub(super) range: RangeView,
    /// URL of the next page of the list of clients; `None` on the last page.
    pub(super) next: Option<String>,
}

/// Default lifetimes of tokens and sessions, as text, for clients that have none of their own.
#[derive(Serialize)]
pub(super) struct ServerLifetimes {
    access_token_ttl: String,
    refresh_idle_ttl: String,
    session_ttl: String,
}

#[derive(Serialize)]
pub(super) struct NewClientView {
    pub(super) form: FormView,
    /// Whether the operator has chosen the type of the client.
    pub(super) chosen: bool,
    pub(super) errors: Vec<FormErrorView>,
    pub(super) server: ServerLifetimes,
}

#[derive(Serialize)]
pub(super) struct ClientPageView {
    pub(super) client: ClientView,
    pub(super) form: FormView,
    pub(super) errors: Vec<FormErrorView>,
    pub(super) connect: ConnectView,
    pub(super) server: ServerLifetimes,
    /// URL of the page that lists the client's sessions.
    pub(super) sessions_url: String,
}

#[derive(Serialize)]
pub(super) struct ConfirmClientView {
    pub(super) client: ClientView,
}

#[derive(Serialize)]
pub(super) struct ClientSecretView {
    pub(super) client: ClientView,
    pub(super) secret: String,
    /// Whether this request registered the client; false if it rotated the client's secret.
    pub(super) added: bool,
    /// Warning that the client's old secret may still work; `None` if Redis has removed the secret.
    pub(super) undelivered: Option<String>,
}

impl ServerLifetimes {
    pub(super) fn of(lifetimes: &Lifetimes) -> Self {
        Self {
            access_token_ttl: show_duration(lifetimes.access_token),
            refresh_idle_ttl: show_duration(lifetimes.refresh_idle),
            session_ttl: show_duration(lifetimes.session),
        }
    }
}

pub(super) async fn list(context: PageContext) -> PageResult {
    let (query, page) = (context.query.get("q").to_owned(), context.page());
    let admin = context.admin();
    let (found, count) = futures_util::try_join!(
        admin.clients(&query, &page),
        admin.count_clients(&query, MAX_COUNTED)
    )?;
    let range = RangeView::of(&context.query, found.items.len(), count);
    let path = format!("{}/clients", context.base());
    let next = found.next.map(|after| range.next(&path, &query, &after));
    let clients = found.items.iter().map(|client| view(&context, client)).collect();
    let view = ClientListView { query, first: page.cursor.is_none(), clients, range, next };
    context.show(SECTION, "management/clients.html", &view)
}

pub(super) async fn new(context: PageContext) -> PageResult {
    let kind = context.query.get("kind");
    let chosen = client_form::is_kind(kind);
    let view = new_client(&context, client_form::of_kind(kind), chosen);
    context.show(SECTION, "management/client_new.html", &view)
}

/// Registers a client. The secret of a confidential client is in the response and not in a
/// redirect, so that the secret appears in no URL.
pub(super) async fn add(context: PageContext, PostedForm(fields): PostedForm) -> PageResult {
    let mut form = client_form::submitted(&fields);
    let confidential = client_form::is_confidential(&fields);
    if let Some(new) = client_form::read(&fields, confidential, None, &mut form) {
        match context.admin().add_client(new).await {
            Ok((client, Some(secret))) => {
                return show_secret(&context, &client, &secret, true, None);
            }
            Ok((client, None)) => return Ok(to_client(&context, &client, "client-added")),
            Err(error) => client_form::show_error(error, &mut form)?,
        }
    }
    let view = new_client(&context, form, true);
    context.show_again(
        StatusCode::UNPROCESSABLE_ENTITY,
        SECTION,
        "management/client_new.html",
        &view,
    )
}

pub(super) async fn show(context: PageContext, id: web::Path<String>) -> PageResult {
    let client = context.admin().client(&id).await?;
    let view = page(&context, &client, client_form::of_client(&client));
    context.show(SECTION, "management/client.html", &view)
}

pub(super) async fn edit(
    context: PageContext,
    id: web::Path<String>,
    PostedForm(fields): PostedForm,
) -> PageResult {
    let (client, versions) = (context.admin().client(&id).await?, fields.versions());
    if versions.check(client.version).is_err() {
        return show_changed(&context, &client, &fields);
    }
    let mut form = client_form::submitted(&fields);
    if let Some(read) =
        client_form::read(&fields, client.is_confidential(), Some(&client.name), &mut form)
    {
        if client_form::is_saved(&read, &client) {
            return Ok(to_client(&context, &client, "nothing-changed"));
        }
        let change = ClientChange {
            name: Some(read.name).filter(|name| *name != client.name),
            grants: read.grants,
            scopes: Some(read.scopes),
            default_scopes: Some(read.default_scopes),
            access_token_ttl: Some(read.access_token_ttl),
            refresh_idle_ttl: Some(read.refresh_idle_ttl),
            session_ttl: Some(read.session_ttl),
            introspection: Some(read.introspection),
            introspect_refresh_tokens: Some(read.introspect_refresh_tokens),
            versions,
            ..ClientChange::default()
        };
        match context.admin().edit_client(&client.id, &change).await {
            Ok(client) => return Ok(to_client(&context, &client, "client-changed")),
            Err(AdminError::OtherVersion) => {
                return show_changed(&context, &context.admin().client(&id).await?, &fields);
            }
            Err(error) => client_form::show_error(error, &mut form)?,
        }
    }
    let view = page(&context, &client, form);
    context.show_again(StatusCode::UNPROCESSABLE_ENTITY, SECTION, "management/client.html", &view)
}

/// Responds to a submitted form for a client that was changed after the form was opened: with
/// status 409, since the form would undo the other change, or a redirect if all values are equal.
fn show_changed(context: &PageContext, client: &Client, fields: &PostedFields) -> PageResult {
    let (confidential, name) = (client.is_confidential(), Some(client.name.as_str()));
    let submitted = client_form::read(fields, confidential, name, &mut FormView::default());
    if submitted.is_some_and(|submitted| client_form::is_saved(&submitted, client)) {
        // The form was submitted twice.
        return Ok(to_client(context, client, "client-changed"));
    }
    let view = page(context, client, client_form::of_changed(client, fields));
    context.show_again(StatusCode::CONFLICT, SECTION, "management/client.html", &view)
}

pub(super) async fn disable(context: PageContext, id: web::Path<String>) -> PageResult {
    set_enabled(&context, &id, false).await
}

pub(super) async fn enable(context: PageContext, id: web::Path<String>) -> PageResult {
    set_enabled(&context, &id, true).await
}

/// Enables or disables a client, and redirects to the client's page. The form for other values must
/// not do so: if opened before the client was disabled, it would enable the client again.
async fn set_enabled(context: &PageContext, id: &str, enabled: bool) -> PageResult {
    let client = context.admin().client(id).await?;
    let change = ClientChange { enabled: Some(enabled), ..ClientChange::default() };
    let client = context.admin().edit_client(&client.id, &change).await?;
    Ok(to_client(context, &client, if enabled { "client-enabled" } else { "client-disabled" }))
}

/// Shows the page that asks for confirmation before a client gets a new secret.
pub(super) async fn confirm_rotation(context: PageContext, id: web::Path<String>) -> PageResult {
    let client = context.admin().client(&id).await?;
    if !client.is_confidential() {
        return Err(PageError::NoSuchPage);
    }
    let view = ConfirmClientView { client: view(&context, &client) };
    context.show(SECTION, "management/client_secret_new.html", &view)
}

pub(super) async fn rotate(context: PageContext, id: web::Path<String>) -> PageResult {
    let client = context.admin().client(&id).await?;
    if !client.is_confidential() {
        return Err(PageError::NoSuchPage);
    }
    let rotated = context.admin().rotate_secret(&client.id, Versions::Any).await?;
    let (client, secret) = rotated.value;
    show_secret(&context, &client, &secret, false, rotated.invalidation.err())
}

/// Shows the page that asks for confirmation before a client is deleted.
pub(super) async fn confirm(context: PageContext, id: web::Path<String>) -> PageResult {
    let client = context.admin().client(&id).await?;
    let view = ConfirmClientView { client: view(&context, &client) };
    context.show(SECTION, "management/client_delete.html", &view)
}

pub(super) async fn delete(context: PageContext, id: web::Path<String>) -> PageResult {
    let client = context.admin().client(&id).await?;
    context.admin().delete_client(&client.id, &Versions::Any).await?;
    Ok(context.see_other("/clients?done=client-deleted"))
}

/// Returns the page with the new secret of a client. No other page shows the secret.
fn show_secret(
    context: &PageContext,
    client: &Client,
    secret: &ClientSecret,
    added: bool,
    undelivered: Option<StoreError>,
) -> PageResult {
    let status = match &undelivered {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let undelivered = undelivered.map(PageError::from);
    if let Some(PageError::Invalidation(cause)) = &undelivered {
        log_unavailable(cause);
    }
    let secret = secret.expose_secret().to_owned();
    let undelivered = undelivered.map(|error| error.to_string());
    let view = ClientSecretView { client: view(context, client), secret, added, undelivered };
    context.show_again(status, SECTION, "management/client_secret.html", &view)
}

fn new_client(context: &PageContext, form: FormView, chosen: bool) -> NewClientView {
    NewClientView { errors: form.errors(), form, chosen, server: server(context) }
}

fn view(context: &PageContext, client: &Client) -> ClientView {
    ClientView::of(client, context.base(), context.now())
}

fn server(context: &PageContext) -> ServerLifetimes {
    ServerLifetimes::of(context.server_lifetimes())
}

fn page(context: &PageContext, client: &Client, form: FormView) -> ClientPageView {
    let sessions = format!("{}/sessions", context.base());
    ClientPageView {
        client: view(context, client),
        errors: form.errors(),
        form,
        connect: ConnectView::of(client, context),
        server: server(context),
        sessions_url: with_query(&sessions, &[("client", client.id.as_str())]),
    }
}

fn to_client(context: &PageContext, client: &Client, done: &str) -> HttpResponse {
    context.see_other(&format!("/clients/{}?done={done}", encoded(client.id.as_str())))
}
