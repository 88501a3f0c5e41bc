//! First page: numbers of users, clients and sessions, health, and recent logins.

use actix_web::http::StatusCode;
use serde::Serialize;

use super::chart::Chart;
use super::counted_range::{MAX_COUNTED, show_count};
use super::page_context::PageContext;
use super::page_error::{PageError, PageResult};
use super::views::{ClientView, UserView};
use crate::admin::AdminError;
use crate::domain::{Client, User};
use crate::store::Page;

const SECTION: &str = "dashboard";

/// File name of the dashboard's template, as in flask-sentinel (the predecessor of this server).
pub(super) const TEMPLATE: &str = "management.html";

/// Maximum number of users and of clients for an operator's own dashboard template, which shows all
/// of them on one page. More would take too long to read and to write.
const MAX_LISTED: u32 = 1000;

#[derive(Serialize)]
pub(super) struct DashboardView {
    pub(super) counts: DashboardCounts,
    pub(super) health: StoreHealthView,
    pub(super) chart: Chart,
    /// First users by name, for the operator's own dashboard template; the built-in shows none.
    pub(super) users: Vec<UserView>,
    /// First clients by id, for the operator's own dashboard template; the built-in shows none.
    pub(super) clients: Vec<ClientView>,
    /// Error in a form that was posted from the operator's own template; `None` without an error.
    pub(super) error: Option<String>,
    pub(super) request: FlaskRequest,
}

/// Attributes of Flask's `request` that templates of flask-sentinel (the predecessor) read.
#[derive(Serialize)]
pub(super) struct FlaskRequest {
    pub(super) method: &'static str,
    pub(super) path: String,
}

/// Numbers of users, clients and sessions as text; `None` if the store does not respond.
#[derive(Serialize)]
pub(super) struct DashboardCounts {
    pub(super) users: Option<String>,
    pub(super) clients: Option<String>,
    pub(super) sessions: Option<String>,
}

/// Health of the store and of Redis: whether each of them responds to reads.
#[derive(Serialize)]
pub(super) struct StoreHealthView {
    pub(super) store: bool,
    /// Whether Redis accepts writes; `None` if it has neither published tokens nor a cache.
    pub(super) redis: Option<bool>,
}

pub(super) async fn show(context: PageContext) -> PageResult {
    let view = view(&context, "GET").await?;
    context.show(SECTION, TEMPLATE, &view)
}

/// Returns the dashboard with an error in a posted form. If the template does not show the error
/// (flask-sentinel's do not), returns [`PageError::Refused`], which an error page shows.
pub(super) async fn show_again(context: &PageContext, error: String) -> PageResult {
    let mut view = view(context, "POST").await?;
    let without_error = context.html(SECTION, TEMPLATE, &view)?;
    view.error = Some(error);
    let with_error = context.html(SECTION, TEMPLATE, &view)?;
    match view.error {
        Some(error) if with_error == without_error => Err(PageError::Refused(error)),
        _ => context.show_again(StatusCode::UNPROCESSABLE_ENTITY, SECTION, TEMPLATE, &view),
    }
}

async fn view(context: &PageContext, method: &'static str) -> Result<DashboardView, PageError> {
    let admin = context.admin();
    let (users_listed, clients_listed) = lists(context).await;
    // The store's health is that of these reads: a test write would wait for other writers.
    let (users, clients, sessions) = futures_util::join!(
        admin.count_users("", MAX_COUNTED),
        admin.count_clients("", MAX_COUNTED),
        admin.count_sessions(MAX_COUNTED),
    );
    let failure = [&users, &clients, &sessions].into_iter().find_map(|count| count.as_ref().err());
    if let Some(error) = failure {
        tracing::error!("the store is unavailable to the management page: {error}");
    }
    let store = failure.is_none();
    let (base, now) = (context.base(), context.now());
    Ok(DashboardView {
        counts: DashboardCounts {
            users: counted(users),
            clients: counted(clients),
            sessions: counted(sessions),
        },
        health: StoreHealthView { store, redis: admin.redis_accepts_writes() },
        chart: Chart::of(&context.activity().last_hours(now)),
        users: users_listed.iter().map(|user| UserView::of(user, base, now)).collect(),
        clients: clients_listed.iter().map(|client| ClientView::of(client, base, now)).collect(),
        error: None,
        request: FlaskRequest { method, path: context.base().to_owned() },
    })
}

/// Returns the first users and clients for an operator's own dashboard template; empty lists if the
/// operator has no own templates and styles, or the store fails.
async fn lists(context: &PageContext) -> (Vec<User>, Vec<Client>) {
    if !context.templates().has_own() {
        return Default::default();
    }
    let (admin, first) = (context.admin(), Page::first(MAX_LISTED));
    let (users, clients) = futures_util::join!(admin.users("", &first), admin.clients("", &first));
    (
        users.map(|users| users.items).unwrap_or_default(),
        clients.map(|clients| clients.items).unwrap_or_default(),
    )
}

/// Formats the number of users, clients or sessions, such as "10,000+" if counting stopped there.
/// Returns `None` for an error, since the dashboard shows the health of the store.
fn counted(count: Result<u64, AdminError>) -> Option<String> {
    count.ok().map(show_count)
}
