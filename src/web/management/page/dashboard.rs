//! The first page: how many there are of everything, and how it goes.

use actix_web::HttpResponse;
use serde::Serialize;

use super::Failure;
use super::chart::Chart;
use super::desk::Desk;
use super::views::{ClientView, UserView};
use crate::admin::AdminError;
use crate::domain::{Client, User};
use crate::store::Page;

const SECTION: &str = "dashboard";

/// The template that flask-sentinel had, too.
pub(super) const TEMPLATE: &str = "management.html";

/// Counting goes no further, so that it costs the same at millions.
const COUNTED: u32 = 10_000;

/// Users and clients for templates that show all on one page: more would take long to read and to write.
const LISTED: u32 = 1000;

#[derive(Serialize)]
pub(super) struct View {
    pub(super) counts: Counts,
    pub(super) health: Health,
    pub(super) chart: Chart,
    /// The first of them, by name and by id, for an operator's own template; the built-in one shows none.
    pub(super) users: Vec<UserView>,
    pub(super) clients: Vec<ClientView>,
    /// What is wrong with what was posted from an operator's own template.
    pub(super) error: Option<String>,
    pub(super) request: Request,
}

/// What flask-sentinel's templates had of Flask's request.
#[derive(Serialize)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
}

/// Each as text; `None` when the store does not answer.
#[derive(Serialize)]
pub(super) struct Counts {
    pub(super) users: Option<String>,
    pub(super) clients: Option<String>,
    pub(super) sessions: Option<String>,
}

/// Whether what is behind this server answers.
#[derive(Serialize)]
pub(super) struct Health {
    pub(super) store: bool,
    /// `None` where there is no Redis.
    pub(super) redis: Option<bool>,
}

pub(super) async fn show(desk: Desk) -> Result<HttpResponse, Failure> {
    let view = view(&desk, "GET").await?;
    desk.show(SECTION, TEMPLATE, &view)
}

/// The same, with what is wrong with the form. flask-sentinel's own page has no place for that, and would
/// look as if nothing had happened: then it gets a page of its own.
pub(super) async fn show_again(desk: &Desk, error: String) -> Result<HttpResponse, Failure> {
    let mut view = view(desk, "POST").await?;
    let silent = desk.html(SECTION, TEMPLATE, &view)?;
    view.error = Some(error);
    let told = desk.html(SECTION, TEMPLATE, &view)?;
    match view.error {
        Some(error) if told == silent => Err(Failure::Refused(error)),
        _ => desk.show_again(SECTION, TEMPLATE, &view),
    }
}

async fn view(desk: &Desk, method: &'static str) -> Result<View, Failure> {
    let admin = desk.admin();
    let (users_listed, clients_listed) = lists(desk).await;
    let ((store, redis), users, clients, sessions) = futures_util::join!(
        admin.health(),
        admin.count_users(COUNTED),
        admin.count_clients(COUNTED),
        admin.count_sessions(COUNTED),
    );
    if let Err(error) = &store {
        tracing::error!("the store does not answer the management page: {error}");
    }
    let (base, now) = (desk.base(), desk.now());
    Ok(View {
        counts: Counts {
            users: counted(users),
            clients: counted(clients),
            sessions: counted(sessions),
        },
        health: Health { store: store.is_ok(), redis: redis.as_ref().map(Result::is_ok) },
        chart: Chart::of(&desk.activity().last_hours(now)),
        users: users_listed.iter().map(|user| UserView::of(user, base, now)).collect(),
        clients: clients_listed.iter().map(|client| ClientView::of(client, base, now)).collect(),
        error: None,
        request: Request { method, path: desk.home().to_owned() },
    })
}

/// Users and clients, if there is a template that may show them. What fails is told as the store's health.
async fn lists(desk: &Desk) -> (Vec<User>, Vec<Client>) {
    if !desk.templates().has_own() {
        return Default::default();
    }
    let (admin, first) = (desk.admin(), Page::first(LISTED));
    let (users, clients) = futures_util::join!(admin.users(&first), admin.clients(&first));
    (users.unwrap_or_default(), clients.unwrap_or_default())
}

/// "10,000+" where counting stopped. What fails is told as the store's health.
fn counted(count: Result<u64, AdminError>) -> Option<String> {
    let count = count.ok()?;
    let more = if count >= u64::from(COUNTED) { "+" } else { "" };
    Some(if count >= 1000 {
        format!("{},{:03}{more}", count / 1000, count % 1000)
    } else {
        count.to_string()
    })
}
