//! Pages that list, add, change and delete users.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::counted_range::{MAX_COUNTED, RangeView};
use super::form_view::{FormErrorView, FormView};
use super::page_context::PageContext;
use super::page_error::{PageError, PageResult};
use super::posted_form::{PostedFields, PostedForm};
use super::urls::with_query;
use super::views::{SessionView, UserView};
use super::{sessions, user_form};
use crate::admin::{AdminError, NewUser, UserChange, Versions};
use crate::domain::User;
use crate::store::{Page, SessionFilter};

const SECTION: &str = "users";

/// Maximum number of sessions on the page of one user. The page that lists sessions shows all.
const SESSIONS: u32 = 10;

#[derive(Serialize)]
pub(super) struct UserListView {
    pub(super) query: String,
    /// Whether the page is the first one of the list of users.
    pub(super) first: bool,
    pub(super) users: Vec<UserView>,
    /// Position of the page in the list.
    pub(super) range: RangeView,
    /// URL of the next page of the list of users; `None` on the last page.
    pub(super) next: Option<String>,
}

#[derive(Serialize)]
pub(super) struct NewUserView {
    pub(super) form: FormView,
    pub(super) errors: Vec<FormErrorView>,
    pub(super) shortest: usize,
}

#[derive(Serialize)]
pub(super) struct UserPageView {
    pub(super) user: UserView,
    pub(super) form: FormView,
    pub(super) password: FormView,
    /// Errors of both forms.
    pub(super) errors: Vec<FormErrorView>,
    pub(super) shortest: usize,
    pub(super) sessions: Vec<SessionView>,
    /// Whether the user has more sessions than those in `sessions`.
    pub(super) more: bool,
    /// URL of the page that lists the user's sessions.
    pub(super) sessions_url: String,
}

#[derive(Serialize)]
pub(super) struct DeleteUserView {
    pub(super) user: UserView,
}

pub(super) async fn list(context: PageContext) -> PageResult {
    let (query, page) = (context.query.get("q").to_owned(), context.page());
    let admin = context.admin();
    let (found, count) = futures_util::try_join!(
        admin.users(&query, &page),
        admin.count_users(&query, MAX_COUNTED)
    )?;
    let range = RangeView::of(&context.query, found.items.len(), count);
    let path = format!("{}/users", context.base());
    let next = found.next.map(|after| range.next(&path, &query, &after));
    let users = found.items.iter().map(|user| view(&context, user)).collect();
    let view = UserListView { query, first: page.cursor.is_none(), users, range, next };
    context.show(SECTION, "management/users.html", &view)
}

pub(super) async fn new(context: PageContext) -> PageResult {
    let view = new_user(&context, user_form::blank());
    context.show(SECTION, "management/user_new.html", &view)
}

pub(super) async fn add(context: PageContext, PostedForm(fields): PostedForm) -> PageResult {
    let mut form = user_form::submitted(&fields);
    let read = user_form::read(&fields, &mut form, None);
    let password = user_form::password(&context, &fields, &mut form);
    if let (Some((username, scopes)), Some(password)) = (read, password)
        && let Some(password) = form.check("password", user_form::hash(&context, password).await?)
    {
        let enabled = fields.is_on("enabled");
        match context.admin().add_user(NewUser { username, password, scopes, enabled }).await {
            Ok(user) => return Ok(to_user(&context, &user, "user-added")),
            Err(error) => user_form::show_error(error, &mut form)?,
        }
    }
    let view = new_user(&context, form);
    context.show_again(StatusCode::UNPROCESSABLE_ENTITY, SECTION, "management/user_new.html", &view)
}

pub(super) async fn show(context: PageContext, id: web::Path<String>) -> PageResult {
    let user = find(&context, &id).await?;
    let view = page(&context, &user, user_form::of_user(&user), user_form::of_password()).await?;
    context.show(SECTION, "management/user.html", &view)
}

pub(super) async fn edit(
    context: PageContext,
    id: web::Path<String>,
    PostedForm(fields): PostedForm,
) -> PageResult {
    let (user, versions) = (find(&context, &id).await?, fields.versions());
    if versions.check(user.version).is_err() {
        return show_changed(&context, &user, &fields).await;
    }
    let mut form = user_form::submitted(&fields);
    let read = user_form::read(&fields, &mut form, Some(user.username.as_str()));
    if let Some((username, scopes)) = read {
        if username == user.username && scopes == user.scopes {
            return Ok(to_user(&context, &user, "nothing-changed"));
        }
        let username = Some(username).filter(|name| *name != user.username);
        let scopes = Some(scopes);
        let change = UserChange { username, scopes, versions, ..UserChange::default() };
        match context.admin().edit_user(user.id, &change).await {
            Ok(user) => return Ok(to_user(&context, &user, "user-changed")),
            Err(AdminError::OtherVersion) => {
                return show_changed(&context, &find(&context, &id).await?, &fields).await;
            }
            Err(error) => user_form::show_error(error, &mut form)?,
        }
    }
    let view = page(&context, &user, form, user_form::of_password()).await?;
    context.show_again(StatusCode::UNPROCESSABLE_ENTITY, SECTION, "management/user.html", &view)
}

/// Responds to a submitted form for a user who was changed after the form was opened: with status
/// 409, since the form would undo the other change, or a redirect if all values are equal.
async fn show_changed(context: &PageContext, user: &User, fields: &PostedFields) -> PageResult {
    let submitted = user_form::read(fields, &mut FormView::default(), Some(user.username.as_str()));
    if submitted.is_some_and(|(name, scopes)| name == user.username && scopes == user.scopes) {
        // The form was submitted twice.
        return Ok(to_user(context, user, "user-changed"));
    }
    let form = user_form::of_changed(user, fields);
    let view = page(context, user, form, user_form::of_password()).await?;
    context.show_again(StatusCode::CONFLICT, SECTION, "management/user.html", &view)
}

pub(super) async fn set_password(
    context: PageContext,
    id: web::Path<String>,
    PostedForm(fields): PostedForm,
) -> PageResult {
    let user = find(&context, &id).await?;
    let mut form = user_form::of_password();
    if let Some(password) = user_form::password(&context, &fields, &mut form)
        && let Some(password) = form.check("password", user_form::hash(&context, password).await?)
    {
        let change = UserChange { password: Some(password), ..UserChange::default() };
        let user = context.admin().edit_user(user.id, &change).await?;
        return Ok(to_user(&context, &user, "password-set"));
    }
    let view = page(&context, &user, user_form::of_user(&user), form).await?;
    context.show_again(StatusCode::UNPROCESSABLE_ENTITY, SECTION, "management/user.html", &view)
}

pub(super) async fn disable(context: PageContext, id: web::Path<String>) -> PageResult {
    set_enabled(&context, &id, false).await
}

pub(super) async fn enable(context: PageContext, id: web::Path<String>) -> PageResult {
    set_enabled(&context, &id, true).await
}

/// Enables or disables a user, and redirects to the user's page. The form for other values must not
/// do so: if opened before the user was disabled, it would enable the user again.
async fn set_enabled(context: &PageContext, id: &str, enabled: bool) -> PageResult {
    let user = find(context, id).await?;
    let change = UserChange { enabled: Some(enabled), ..UserChange::default() };
    let user = context.admin().edit_user(user.id, &change).await?;
    Ok(to_user(context, &user, if enabled { "user-enabled" } else { "user-disabled" }))
}

/// Shows the page that asks for confirmation before a user is deleted.
pub(super) async fn confirm(context: PageContext, id: web::Path<String>) -> PageResult {
    let user = find(&context, &id).await?;
    let view = DeleteUserView { user: view(&context, &user) };
    context.show(SECTION, "management/user_delete.html", &view)
}

pub(super) async fn delete(context: PageContext, id: web::Path<String>) -> PageResult {
    let user = find(&context, &id).await?;
    context.admin().delete_user(user.id, &Versions::Any).await?;
    Ok(context.see_other("/users?done=user-deleted"))
}

/// Returns the user with this id. The text is never taken for a user name.
async fn find(context: &PageContext, id: &str) -> Result<User, PageError> {
    let id = id.parse().map_err(|_| PageError::Gone("user"))?;
    Ok(context.admin().user_by_id(id).await?)
}

fn new_user(context: &PageContext, form: FormView) -> NewUserView {
    NewUserView { errors: form.errors(), form, shortest: context.shortest_password() }
}

fn view(context: &PageContext, user: &User) -> UserView {
    UserView::of(user, context.base(), context.now())
}

async fn page(
    context: &PageContext,
    user: &User,
    form: FormView,
    password: FormView,
) -> Result<UserPageView, PageError> {
    let filter = SessionFilter { user: Some(user.id), ..SessionFilter::default() };
    let found = context.admin().live_sessions(&filter, &Page::first(SESSIONS)).await?;
    let more = found.next.is_some();
    let sessions = sessions::views(context, &found.items).await?;
    let sessions_url =
        with_query(&format!("{}/sessions", context.base()), &[("user", &user.id.to_string())]);
    let (user, shortest) = (view(context, user), context.shortest_password());
    let errors = [form.errors(), password.errors()].concat();
    Ok(UserPageView { user, form, password, errors, shortest, sessions, more, sessions_url })
}

fn to_user(context: &PageContext, user: &User, done: &str) -> HttpResponse {
    context.see_other(&format!("/users/{}?done={done}", user.id))
}
