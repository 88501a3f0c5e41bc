//! Pages that list, add, change and delete users.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::desk::{Desk, cut};
use super::fields::{Fields, Posted};
use super::form::Form;
use super::links::with_query;
use super::views::{SessionView, UserView};
use super::{Failure, sessions, user_form};
use crate::admin::{AdminError, NewUser, UserChange};
use crate::domain::User;
use crate::store::{Page, SessionFilter};

const SECTION: &str = "users";

/// Maximum number of sessions on the page of a user. The list of sessions shows all.
const SESSIONS: u32 = 10;

#[derive(Serialize)]
pub(super) struct ListView {
    pub(super) query: String,
    /// Whether this is the first page of the list.
    pub(super) first: bool,
    pub(super) users: Vec<UserView>,
    /// URL of the next page.
    pub(super) next: Option<String>,
}

#[derive(Serialize)]
pub(super) struct NewView {
    pub(super) form: Form,
    pub(super) shortest: usize,
}

#[derive(Serialize)]
pub(super) struct UserPage {
    pub(super) user: UserView,
    pub(super) form: Form,
    pub(super) password: Form,
    pub(super) shortest: usize,
    pub(super) sessions: Vec<SessionView>,
    /// Whether the user has more sessions than these.
    pub(super) more: bool,
    /// URL of the list of the user's sessions.
    pub(super) sessions_url: String,
}

#[derive(Serialize)]
pub(super) struct DeleteView {
    pub(super) user: UserView,
}

pub(super) async fn list(desk: Desk) -> Result<HttpResponse, Failure> {
    let (query, page) = (desk.query.get("q").to_owned(), desk.page());
    let mut users = desk.admin().search_users(&query, &page).await?;
    let more = cut(&mut users);
    let next = users.last().filter(|_| more).map(|last| {
        let after = last.username.as_str();
        with_query(&format!("{}/users", desk.base()), &[("q", &query), ("after", after)])
    });
    let users = users.iter().map(|user| view(&desk, user)).collect();
    let view = ListView { query, first: page.cursor.is_none(), users, next };
    desk.show(SECTION, "management/users.html", &view)
}

pub(super) async fn new(desk: Desk) -> Result<HttpResponse, Failure> {
    let view = NewView { form: user_form::blank(), shortest: desk.shortest_password() };
    desk.show(SECTION, "management/user_new.html", &view)
}

pub(super) async fn add(desk: Desk, Posted(fields): Posted) -> Result<HttpResponse, Failure> {
    let mut form = user_form::typed(&fields);
    let read = user_form::read(&fields, &mut form, None);
    let password = user_form::password(&desk, &fields, &mut form);
    if let (Some((username, scopes)), Some(password)) = (read, password)
        && let Some(password) = form.note("password", user_form::hash(&desk, password).await?)
    {
        let enabled = fields.is_on("enabled");
        match desk.admin().add_user(NewUser { username, password, scopes, enabled }).await {
            Ok(user) => return Ok(to_user(&desk, &user, "user-added")),
            Err(error) => user_form::refused(error, &mut form)?,
        }
    }
    let view = NewView { form, shortest: desk.shortest_password() };
    desk.show_again(SECTION, "management/user_new.html", &view)
}

pub(super) async fn show(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let user = find(&desk, &id).await?;
    let view = page(&desk, &user, user_form::of_user(&user), user_form::of_password()).await?;
    desk.show(SECTION, "management/user.html", &view)
}

pub(super) async fn edit(
    desk: Desk,
    id: web::Path<String>,
    Posted(fields): Posted,
) -> Result<HttpResponse, Failure> {
    let (user, versions) = (find(&desk, &id).await?, fields.versions());
    if versions.check(user.version).is_err() {
        return show_changed(&desk, &user, &fields).await;
    }
    let mut form = user_form::typed(&fields);
    let read = user_form::read(&fields, &mut form, Some(user.username.as_str()));
    if let Some((username, scopes)) = read {
        let username = Some(username).filter(|name| *name != user.username);
        let change = UserChange { username, scopes: Some(scopes), ..UserChange::default() };
        match desk.admin().edit_user_if(user.id, &change, &versions).await {
            Ok(user) => return Ok(to_user(&desk, &user, "user-changed")),
            Err(AdminError::OtherVersion) => {
                return show_changed(&desk, &find(&desk, &id).await?, &fields).await;
            }
            Err(error) => user_form::refused(error, &mut form)?,
        }
    }
    let view = page(&desk, &user, form, user_form::of_password()).await?;
    desk.show_again(SECTION, "management/user.html", &view)
}

/// Responds to a form for a user who was changed after the form was opened. The form has the name
/// and the scopes of the user, so saving it would undo that change.
async fn show_changed(desk: &Desk, user: &User, fields: &Fields) -> Result<HttpResponse, Failure> {
    let asked = user_form::read(fields, &mut Form::default(), Some(user.username.as_str()));
    if asked.is_some_and(|(name, scopes)| name == user.username && scopes == user.scopes) {
        // The form was submitted twice.
        return Ok(to_user(desk, user, "user-changed"));
    }
    let form = user_form::of_changed(user, fields);
    let view = page(desk, user, form, user_form::of_password()).await?;
    desk.show_changed(SECTION, "management/user.html", &view)
}

pub(super) async fn set_password(
    desk: Desk,
    id: web::Path<String>,
    Posted(fields): Posted,
) -> Result<HttpResponse, Failure> {
    let user = find(&desk, &id).await?;
    let mut form = user_form::of_password();
    if let Some(password) = user_form::password(&desk, &fields, &mut form)
        && let Some(password) = form.note("password", user_form::hash(&desk, password).await?)
    {
        let change = UserChange { password: Some(password), ..UserChange::default() };
        let user = desk.admin().edit_user(user.id, &change).await?;
        return Ok(to_user(&desk, &user, "password-set"));
    }
    let view = page(&desk, &user, user_form::of_user(&user), form).await?;
    desk.show_again(SECTION, "management/user.html", &view)
}

pub(super) async fn disable(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    set_enabled(&desk, &id, false).await
}

pub(super) async fn enable(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    set_enabled(&desk, &id, true).await
}

/// Enables or disables a user. This is not part of the form with the other values: a form that was
/// opened before the user was disabled must not enable the user again.
async fn set_enabled(desk: &Desk, id: &str, enabled: bool) -> Result<HttpResponse, Failure> {
    let user = find(desk, id).await?;
    let change = UserChange { enabled: Some(enabled), ..UserChange::default() };
    let user = desk.admin().edit_user(user.id, &change).await?;
    Ok(to_user(desk, &user, if enabled { "user-enabled" } else { "user-disabled" }))
}

/// Asks for confirmation before a user is deleted.
pub(super) async fn confirm(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let user = find(&desk, &id).await?;
    let view = DeleteView { user: view(&desk, &user) };
    desk.show(SECTION, "management/user_delete.html", &view)
}

pub(super) async fn delete(desk: Desk, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let user = find(&desk, &id).await?;
    desk.admin().delete_user(user.id).await?;
    Ok(desk.see_other("/users?done=user-deleted"))
}

/// Returns the user with this id. Unlike [`named`], it does not look for a user with this name.
async fn find(desk: &Desk, id: &str) -> Result<User, Failure> {
    let id = id.parse().map_err(|_| Failure::Gone("user"))?;
    Ok(desk.admin().user_by_id(id).await?)
}

fn view(desk: &Desk, user: &User) -> UserView {
    UserView::of(user, desk.base(), desk.now())
}

async fn page(desk: &Desk, user: &User, form: Form, password: Form) -> Result<UserPage, Failure> {
    let filter = SessionFilter { user: Some(user.id), ..SessionFilter::default() };
    let mut found = desk.admin().sessions(&filter, &Page::first(SESSIONS + 1)).await?;
    let more = found.len() > SESSIONS as usize;
    found.truncate(SESSIONS as usize);
    let sessions = sessions::views(desk, &found).await?;
    let sessions_url =
        with_query(&format!("{}/sessions", desk.base()), &[("user", &user.id.to_string())]);
    let (user, shortest) = (view(desk, user), desk.shortest_password());
    Ok(UserPage { user, form, password, shortest, sessions, more, sessions_url })
}

fn to_user(desk: &Desk, user: &User, done: &str) -> HttpResponse {
    desk.see_other(&format!("/users/{}?done={done}", user.id))
}

/// Returns the user with this name or id; `None` if there is none.
pub(super) async fn named(desk: &Desk, name: &str) -> Result<Option<User>, Failure> {
    match desk.admin().user(name).await {
        Ok(user) => Ok(Some(user)),
        Err(AdminError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
