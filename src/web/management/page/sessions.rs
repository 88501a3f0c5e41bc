//! Pages that list and end sessions.

use std::collections::HashMap;

use actix_web::web;
use serde::Serialize;

use super::page_context::PageContext;
use super::page_error::{PageError, PageResult};
use super::posted_form::{PostedFields, PostedForm};
use super::urls::with_query;
use super::views::{Link, SessionView, title};
use crate::admin::AdminError;
use crate::domain::{ClientId, Session};
use crate::store::SessionFilter;

const SECTION: &str = "sessions";

#[derive(Serialize)]
pub(super) struct SessionListView {
    /// Name or id of the user whose sessions are listed, as submitted; "" without this filter.
    pub(super) user: String,
    pub(super) client: String,
    /// Message that the user of the filter does not exist; `None` if there is no error.
    pub(super) user_error: Option<&'static str>,
    pub(super) client_error: Option<&'static str>,
    pub(super) filtered: bool,
    /// Whether the page is the first one of the list of sessions.
    pub(super) first: bool,
    pub(super) sessions: Vec<SessionView>,
    /// URL of the next page of the list of sessions; `None` on the last page.
    pub(super) next: Option<String>,
    /// URL of the page that ends all sessions of the filtered list.
    pub(super) end_url: String,
}

#[derive(Serialize)]
pub(super) struct EndSessionsView {
    /// User whose sessions will be ended; `None` for the sessions of any user.
    pub(super) user: Option<Link>,
    /// Client whose sessions will be ended; `None` for the sessions of any client.
    pub(super) client: Option<Link>,
}

/// Returns the session filter (user, client) of a query or form; an error if either is unknown.
async fn filter(context: &PageContext, fields: &PostedFields) -> Result<SessionFilter, AdminError> {
    let given = |name| Some(fields.get(name)).filter(|text| !text.is_empty());
    context.admin().session_filter(given("user"), given("client")).await
}

pub(super) async fn list(context: PageContext) -> PageResult {
    let (user, client) = (context.query.get("user"), context.query.get("client"));
    let page = context.page();
    let (found, unknown) = match filter(&context, &context.query).await {
        Ok(filter) => (Some(context.admin().live_sessions(&filter, &page).await?), None),
        Err(AdminError::NotFound { what, .. }) => (None, Some(what)),
        Err(error) => return Err(error.into()),
    };
    let (sessions, next) = found.map(|found| (found.items, found.next)).unwrap_or_default();
    let path = format!("{}/sessions", context.base());
    let view = SessionListView {
        user_error: (unknown == Some("user")).then_some("There is no such user."),
        client_error: (unknown == Some("client")).then_some("There is no client with this id."),
        filtered: !user.is_empty() || !client.is_empty(),
        first: page.cursor.is_none(),
        sessions: views(&context, &sessions).await?,
        next: next.map(|after| {
            with_query(&path, &[("user", user), ("client", client), ("after", &after)])
        }),
        end_url: with_query(&format!("{path}/end"), &[("user", user), ("client", client)]),
        user: user.to_owned(),
        client: client.to_owned(),
    };
    context.show(SECTION, "management/sessions.html", &view)
}

/// Ends one session, and redirects to the page that listed the session.
pub(super) async fn end(
    context: PageContext,
    id: web::Path<String>,
    PostedForm(fields): PostedForm,
) -> PageResult {
    let id = id.parse().map_err(|_| PageError::Gone("session"))?;
    let done = match context.admin().end_session(id).await {
        Ok(()) => "session-ended",
        // A missing session is the intended result.
        Err(AdminError::NotFound { .. }) => "session-gone",
        Err(error) => return Err(error.into()),
    };
    let path = match fields.get("from").parse::<crate::domain::UserId>() {
        Ok(user) => with_query(&format!("/users/{user}"), &[("done", done)]),
        Err(_) => back(&fields, &[("done", done)]),
    };
    Ok(context.see_other(&path))
}

/// Shows the page that asks for confirmation before several sessions are ended.
pub(super) async fn confirm(context: PageContext) -> PageResult {
    let filter = filter(&context, &context.query).await?;
    let mut view = EndSessionsView { user: None, client: None };
    if let Some(id) = filter.user {
        let user = context.admin().user_by_id(id).await?;
        view.user = Some(Link::to_user(id, user.username, context.base()));
    }
    if let Some(id) = filter.client {
        let client = context.admin().client(id.as_str()).await?;
        view.client = Some(Link::to_client(&id, title(&client), context.base()));
    }
    context.show(SECTION, "management/sessions_end.html", &view)
}

/// Ends all sessions of a user, of a client, of a user with a client, or of the server. Returns an
/// error if the user or client no longer exists: an empty filter would end all sessions.
pub(super) async fn end_all(context: PageContext, PostedForm(fields): PostedForm) -> PageResult {
    let filter = filter(&context, &fields).await?;
    let count = context.admin().end_sessions(&filter).await?.to_string();
    Ok(context.see_other(&back(&fields, &[("done", "sessions-ended"), ("count", &count)])))
}

/// Returns the session list's path with the filter in `fields` and the query parameters `more`.
fn back(fields: &PostedFields, more: &[(&str, &str)]) -> String {
    let filter = [("user", fields.get("user")), ("client", fields.get("client"))];
    with_query("/sessions", &[&filter, more].concat())
}

/// Returns sessions as templates receive them, with client names. Each client is looked up once.
pub(super) async fn views(
    context: &PageContext,
    sessions: &[Session],
) -> Result<Vec<SessionView>, PageError> {
    let mut names: HashMap<&ClientId, String> = HashMap::new();
    for session in sessions {
        let id = &session.client_id;
        if !names.contains_key(id) {
            let name = match context.admin().client(id.as_str()).await {
                Ok(client) => title(&client),
                Err(AdminError::NotFound { .. }) => id.to_string(),
                Err(error) => return Err(error.into()),
            };
            names.insert(id, name);
        }
    }
    let (base, now) = (context.base(), context.now());
    let view = |session: &Session| {
        let name = names.get(&session.client_id).cloned().unwrap_or_default();
        SessionView::of(session, name, base, now)
    };
    Ok(sessions.iter().map(view).collect())
}
