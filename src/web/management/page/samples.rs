//! Sample data with which every template is checked: with and without each optional value, and with
//! text that must be escaped.

use std::time::Duration;

use tera::{Context, TeraResult};

use super::chart::Chart;
use super::desk::{Common, context};
use super::form::Form;
use super::views::{ClientView, Link, SessionView, UserView};
use super::{Assets, client_form, clients, dashboard, failure, sessions, user_form, users};
use crate::domain::{
    Client, ClientId, ClientKind, Digest, Grant, Lifetimes, NewSession, PasswordHash, Scope,
    Session, SessionUser, Timestamp, User, UserId,
};
use crate::observe::activity::Hour;

const BASE: &str = "/oauth/management";
const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const TEXT: &str = "<b>\"it's\"</b> & \u{202e}sample";
const DAY: Duration = Duration::from_secs(24 * 3600);
const LIFETIMES: Lifetimes = Lifetimes {
    access_token: Duration::from_secs(3600),
    refresh_idle: DAY,
    session: DAY,
    refresh_grace: Duration::ZERO,
};

/// Name of a template and the context for it.
type Sample = (&'static str, TeraResult<Context>);

/// Returns contexts for every page, at least one for each.
pub fn samples(assets: &Assets) -> Vec<Sample> {
    let page = |notice: bool| {
        Common::new(BASE, assets, "users", notice.then(|| "It was done.".to_owned()))
    };
    let mut samples = Vec::new();
    for full in [true, false] {
        let page = page(full);
        let user = user(full);
        let client = client(full);
        let user_view = || UserView::of(&user, BASE, NOW);
        let client_view = || ClientView::of(&client, BASE, NOW);
        let sessions = || vec![session(&user, &client, full)];
        let error = full.then(|| TEXT.to_owned());
        let next = full.then(|| format!("{BASE}/users?after=x"));
        let link = || full.then(|| Link { id: "x".into(), title: TEXT.into(), url: BASE.into() });
        let mut add = |name: &'static str, context: TeraResult<Context>| {
            samples.push((name, context));
        };
        add(dashboard::TEMPLATE, context(&page, &dashboard(full, error, &user_view, &client_view)));
        add(
            "management/users.html",
            context(
                &page,
                &users::ListView {
                    query: TEXT.to_owned(),
                    first: !full,
                    users: if full { vec![user_view()] } else { Vec::new() },
                    next: next.clone(),
                },
            ),
        );
        let shortest = 8;
        add(
            "management/user_new.html",
            context(
                &page,
                &users::NewView {
                    form: wrong(
                        user_form::blank(),
                        full,
                        &["username", "password", "again", "scopes"],
                    ),
                    shortest,
                },
            ),
        );
        add(
            "management/user.html",
            context(
                &page,
                &users::UserPage {
                    user: user_view(),
                    form: wrong(
                        user_form::of_user(&user),
                        full,
                        &["username", "scope_limit", "scopes", "version"],
                    ),
                    password: wrong(user_form::of_password(), full, &["password", "again"]),
                    shortest,
                    sessions: if full { sessions() } else { Vec::new() },
                    more: full,
                    sessions_url: BASE.to_owned(),
                },
            ),
        );
        add(
            "management/user_delete.html",
            context(&page, &users::DeleteView { user: user_view() }),
        );
        add(
            "management/clients.html",
            context(
                &page,
                &clients::ListView {
                    query: TEXT.to_owned(),
                    first: !full,
                    clients: if full { vec![client_view()] } else { Vec::new() },
                    next: next.clone(),
                },
            ),
        );
        let form = |form| {
            wrong(
                form,
                full,
                &[
                    "name",
                    "grants",
                    "scopes",
                    "default_scopes",
                    "introspection",
                    "access_token_ttl",
                    "refresh_idle_ttl",
                    "session_ttl",
                    "grant_password",
                    "version",
                ],
            )
        };
        let server = || clients::Server::of(&LIFETIMES);
        add(
            "management/client_new.html",
            context(
                &page,
                &clients::NewView { form: form(client_form::blank()), server: server() },
            ),
        );
        add(
            "management/client.html",
            context(
                &page,
                &clients::ClientPage {
                    client: client_view(),
                    form: form(client_form::of_client(&client)),
                    server: server(),
                    sessions_url: BASE.to_owned(),
                },
            ),
        );
        add(
            "management/client_secret.html",
            context(
                &page,
                &clients::SecretView {
                    client: client_view(),
                    secret: "sns_sample".to_owned(),
                    added: full,
                },
            ),
        );
        for name in ["management/client_secret_new.html", "management/client_delete.html"] {
            add(name, context(&page, &clients::ConfirmView { client: client_view() }));
        }
        add(
            "management/sessions.html",
            context(
                &page,
                &sessions::ListView {
                    user: TEXT.to_owned(),
                    client: TEXT.to_owned(),
                    user_error: full.then_some("There is no such user."),
                    client_error: full.then_some("There is no client with this id."),
                    filtered: full,
                    first: !full,
                    sessions: if full { sessions() } else { Vec::new() },
                    next,
                    end_url: BASE.to_owned(),
                },
            ),
        );
        add(
            "management/sessions_end.html",
            context(&page, &sessions::EndView { user: link(), client: link() }),
        );
        add(
            "management/message.html",
            context(
                &page,
                &failure::View { status: 404, title: "Not Found", message: TEXT.to_owned() },
            ),
        );
    }
    samples
}

fn dashboard(
    full: bool,
    error: Option<String>,
    user: &dyn Fn() -> UserView,
    client: &dyn Fn() -> ClientView,
) -> dashboard::View {
    let count = || full.then(|| "10,000+".to_owned());
    let hour = Hour { start: NOW, logins: 12, failures: 3 };
    dashboard::View {
        counts: dashboard::Counts { users: count(), clients: count(), sessions: count() },
        health: dashboard::Health { store: full, redis: full.then_some(true) },
        chart: Chart::of(&if full { vec![hour] } else { Vec::new() }),
        users: if full { vec![user()] } else { Vec::new() },
        clients: if full { vec![client()] } else { Vec::new() },
        error,
        request: dashboard::Request { method: "GET", path: BASE.to_owned() },
    }
}

/// Returns the form with an error and a different submitted value in every field, if `wrong` is
/// true.
fn wrong(form: Form, wrong: bool, names: &[&'static str]) -> Form {
    if !wrong {
        return form;
    }
    let typed = names.iter().fold(Form::default(), |form, name| form.with(name, TEXT));
    let mut form = form.beside(&typed, &[]);
    for name in names {
        form.refuse(name, TEXT);
    }
    form
}

fn scope() -> Scope {
    "read write".parse().unwrap_or_default()
}

fn user(full: bool) -> User {
    User {
        id: UserId::from_bytes([7; 12]),
        username: TEXT.to_owned(),
        password: PasswordHash::own(String::new()),
        scopes: full.then(scope),
        enabled: full,
        generation: 0,
        version: 0,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn client(full: bool) -> Client {
    Client {
        id: ClientId::generate(),
        name: if full { TEXT.to_owned() } else { String::new() },
        kind: if full { ClientKind::Confidential(Digest::of(b"")) } else { ClientKind::Public },
        grants: if full { Grant::ALL.into() } else { [].into() },
        scopes: if full { scope() } else { Scope::empty() },
        default_scopes: if full { scope() } else { Scope::empty() },
        access_token_ttl: full.then_some(DAY),
        refresh_idle_ttl: None,
        session_ttl: None,
        introspection: full,
        enabled: full,
        generation: 0,
        version: 0,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn session(user: &User, client: &Client, full: bool) -> SessionView {
    let owner = SessionUser { id: user.id, username: user.username.clone(), generation: 0 };
    let new = NewSession {
        user: full.then_some(owner),
        client_id: client.id.clone(),
        client_generation: 0,
        scope: scope(),
        refreshable: full,
    };
    let (session, _) = Session::start(new, &LIFETIMES, NOW);
    SessionView::of(&session, TEXT.to_owned(), BASE, NOW)
}
