//! Pages that list and end sessions.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::desk::{Desk, cut};
use super::fields::{Fields, Posted};
use super::links::with_query;
use super::views::{Link, SessionView, title};
use super::{Failure, users};
use crate::admin::AdminError;
use crate::domain::{Client, ClientId, Session, User};
use crate::store::SessionFilter;

const SECTION: &str = "sessions";

#[derive(Serialize)]
pub(super) struct ListView {
    /// User filter as submitted: a name or an id.
    pub(super) user: String,
    pub(super) client: String,
    /// Error in the user filter.
    pub(super) user_error: Option<&'static str>,
    pub(super) client_error: Option<&'static str>,
    pub(super) filtered: bool,
    /// Whether this is the first page of the list.
    pub(super) first: bool,
    pub(super) sessions: Vec<SessionView>,
    /// URL of the next page.
    pub(super) next: Option<String>,
    /// URL of the page that ends all sessions of the filter.
    pub(super) end_url: String,
}

#[derive(Serialize)]
pub(super) struct EndView {
    /// User and client whose sessions will be ended. If both are `None`, all sessions will be.
    pub(super) user: Option<Link>,
    pub(super) client: Option<Link>,
}

/// Requested filter. `Some(None)` stands for a user or client that does not exist.
struct Asked {
    user: Option<Option<User>>,
    client: Option<Option<Client>>,
}

impl Asked {
    async fn read(desk: &Desk, fields: &Fields) -> Result<Self, Failure> {
        let (user, client) = (fields.get("user"), fields.get("client"));
        Ok(Self {
            user: if user.is_empty() { None } else { Some(users::named(desk, user).await?) },
            client: if client.is_empty() { None } else { Some(client_named(desk, client).await?) },
        })
    }

    /// Returns the filter; `None` if it names a user or client that does not exist and so has no
    /// sessions.
    fn filter(&self) -> Option<SessionFilter> {
        if matches!(self.user, Some(None)) || matches!(self.client, Some(None)) {
            return None;
        }
        let user = self.user.iter().flatten().next().map(|user| user.id);
        let client = self.client.iter().flatten().next().map(|client| client.id.clone());
        Some(SessionFilter { user, client, alive_at: None })
    }
}

pub(super) async fn list(desk: Desk) -> Result<HttpResponse, Failure> {
    let (user, client) = (desk.query.get("user").to_owned(), desk.query.get("client").to_owned());
    let asked = Asked::read(&desk, &desk.query).await?;
    let page = desk.page();
    let mut found = match asked.filter() {
        Some(filter) => desk.admin().sessions(&filter, &page).await?,
        None => Vec::new(),
    };
    let more = cut(&mut found);
    let path = format!("{}/sessions", desk.base());
    let next = found.last().filter(|_| more).map(|last| {
        let after = last.id.to_string();
        with_query(&path, &[("user", &user), ("client", &client), ("after", &after)])
    });
    let nobody = |asked: bool| asked.then_some("There is no such user.");
    let nothing = |asked: bool| asked.then_some("There is no client with this id.");
    let view = ListView {
        user_error: nobody(matches!(asked.user, Some(None))),
        client_error: nothing(matches!(asked.client, Some(None))),
        filtered: asked.user.is_some() || asked.client.is_some(),
        first: page.cursor.is_none(),
        sessions: views(&desk, &found).await?,
        next,
        end_url: with_query(&format!("{path}/end"), &[("user", &user), ("client", &client)]),
        user,
        client,
    };
    desk.show(SECTION, "management/sessions.html", &view)
}

/// Ends one session, and redirects to the page that showed it.
pub(super) async fn end(
    desk: Desk,
    id: web::Path<String>,
    Posted(fields): Posted,
) -> Result<HttpResponse, Failure> {
    let id = id.parse().map_err(|_| Failure::Gone("session"))?;
    let done = match desk.admin().end_session(id).await {
        Ok(()) => "session-ended",
        // A missing session is the intended result.
        Err(AdminError::NotFound { .. }) => "session-gone",
        Err(error) => return Err(error.into()),
    };
    let path = match fields.get("from").parse::<crate::domain::UserId>() {
        Ok(user) => with_query(&format!("/users/{user}"), &[("done", done)]),
        Err(_) => back(&fields, &[("done", done)]),
    };
    Ok(desk.see_other(&path))
}

/// Asks for confirmation before several sessions are ended.
pub(super) async fn confirm(desk: Desk) -> Result<HttpResponse, Failure> {
    let asked = Asked::read(&desk, &desk.query).await?;
    if asked.filter().is_none() {
        return Err(Failure::Gone("user or client"));
    }
    let base = desk.base();
    let view = EndView {
        user: asked.user.flatten().map(|user| Link {
            id: user.id.to_string(),
            url: format!("{base}/users/{}", user.id),
            title: user.username,
        }),
        client: asked.client.flatten().map(|client| Link {
            id: client.id.to_string(),
            url: format!("{base}/clients/{}", super::links::encoded(client.id.as_str())),
            title: title(&client),
        }),
    };
    desk.show(SECTION, "management/sessions_end.html", &view)
}

pub(super) async fn end_all(desk: Desk, Posted(fields): Posted) -> Result<HttpResponse, Failure> {
    let asked = Asked::read(&desk, &fields).await?;
    // A user or client that was deleted in the meantime must not become an empty filter, which
    // would end all sessions.
    let filter = asked.filter().ok_or(Failure::Gone("user or client"))?;
    let count = desk.admin().end_sessions(&filter).await?.to_string();
    Ok(desk.see_other(&back(&fields, &[("done", "sessions-ended"), ("count", &count)])))
}

/// Returns the path of the list with the same filter.
fn back(fields: &Fields, more: &[(&str, &str)]) -> String {
    let filter = [("user", fields.get("user")), ("client", fields.get("client"))];
    with_query("/sessions", &[&filter, more].concat())
}

/// Returns sessions with the names of their clients. Each client is looked up once.
pub(super) async fn views(desk: &Desk, sessions: &[Session]) -> Result<Vec<SessionView>, Failure> {
    let mut names: HashMap<&ClientId, String> = HashMap::new();
    for session in sessions {
        let id = &session.client_id;
        if !names.contains_key(id) {
            let client = client_named(desk, id.as_str()).await?;
            names.insert(id, client.map_or_else(|| id.to_string(), |client| title(&client)));
        }
    }
    let (base, now) = (desk.base(), desk.now());
    let view = |session: &Session| {
        let name = names.get(&session.client_id).cloned().unwrap_or_default();
        SessionView::of(session, name, base, now)
    };
    Ok(sessions.iter().map(view).collect())
}

async fn client_named(desk: &Desk, id: &str) -> Result<Option<Client>, Failure> {
    match desk.admin().client(id).await {
        Ok(client) => Ok(Some(client)),
        Err(AdminError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
