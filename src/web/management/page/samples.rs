//! Sample data with which every template is checked: with and without each optional value, and with
//! text that must be escaped.

use std::time::Duration;

use tera::Context;

use super::chart::Chart;
use super::connect::{CommandView, ConnectView};
use super::counted_range::RangeView;
use super::form_view::FormView;
use super::layout::Layout;
use super::posted_form::PostedFields;
use super::refused_page::RefusedView;
use super::views::{ClientView, Link, SessionView, UserView};
use super::{
    client_form, clients, dashboard, error_page, refused_page, sessions, user_form, users,
};
use crate::domain::{
    Client, ClientId, ClientKind, Digest, Grant, Lifetimes, NewSession, PasswordHash, Scope,
    Session, SessionUser, StoredSecret, Timestamp, User, UserId,
};
use crate::observe::activity::Hour;
use crate::web::templates::{Assets, Sample};

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

/// Returns sample data to check all management page templates, at least one sample for each.
pub fn samples(assets: &Assets) -> Vec<Sample> {
    let page = |notice: bool| {
        Layout::new(BASE, assets, "users", notice.then(|| "It was done.".to_owned()))
    };
    let mut samples = Vec::new();
    let Ok(client_id) = "sample".parse::<ClientId>() else { return samples };
    for full in [true, false] {
        let page = page(full);
        let user = user(full);
        let client = client(client_id.clone(), full);
        let user_view = || UserView::of(&user, BASE, NOW);
        let client_view = || ClientView::of(&client, BASE, NOW);
        let sessions = || session(&user, &client, full).into_iter().collect::<Vec<_>>();
        let error = full.then(|| TEXT.to_owned());
        let next = full.then(|| format!("{BASE}/users?after=x"));
        let link = || full.then(|| Link { id: "x".into(), title: TEXT.into(), url: BASE.into() });
        let mut add = |name, view| samples.push((name, view));
        add(dashboard::TEMPLATE, page.with(&dashboard(full, error, &user_view, &client_view)));
        add(
            "management/users.html",
            page.with(&users::UserListView {
                query: TEXT.to_owned(),
                first: !full,
                users: if full { vec![user_view()] } else { Vec::new() },
                range: RangeView::of(&PostedFields::parse(b"after=x&start=51"), 15, 65),
                next: next.clone(),
            }),
        );
        let shortest = 8;
        add("management/user_new.html", {
            let form = wrong(user_form::blank(), full);
            page.with(&users::NewUserView { errors: form.errors(), form, shortest })
        });
        add(
            "management/user.html",
            page.with(&users::UserPageView {
                user: user_view(),
                form: wrong(user_form::of_user(&user), full),
                password: wrong(user_form::of_password(), full),
                errors: wrong(user_form::of_user(&user), full).errors(),
                shortest,
                sessions: if full { sessions() } else { Vec::new() },
                more: full,
                sessions_url: BASE.to_owned(),
            }),
        );
        add("management/user_delete.html", page.with(&users::DeleteUserView { user: user_view() }));
        add(
            "management/clients.html",
            page.with(&clients::ClientListView {
                query: TEXT.to_owned(),
                first: !full,
                clients: if full { vec![client_view()] } else { Vec::new() },
                range: RangeView::of(&PostedFields::parse(b"after=x&start=51"), 15, 65),
                next: next.clone(),
            }),
        );
        let server = || clients::ServerLifetimes::of(&LIFETIMES);
        add(
            "management/client_new.html",
            page.with(&clients::NewClientView {
                form: wrong(client_form::of_kind(if full { "confidential" } else { "" }), full),
                chosen: full,
                errors: wrong(client_form::blank(), full).errors(),
                server: server(),
            }),
        );
        add(
            "management/client.html",
            page.with(&clients::ClientPageView {
                client: client_view(),
                form: wrong(client_form::of_client(&client), full),
                errors: wrong(client_form::of_client(&client), full).errors(),
                connect: if full { connect() } else { ConnectView::default() },
                server: server(),
                sessions_url: BASE.to_owned(),
            }),
        );
        add(
            "management/client_secret.html",
            page.with(&clients::ClientSecretView {
                client: client_view(),
                secret: "sns_sample".to_owned(),
                added: full,
                undelivered: full.then(|| "The change is made.".to_owned()),
            }),
        );
        for name in ["management/client_secret_new.html", "management/client_delete.html"] {
            add(name, page.with(&clients::ConfirmClientView { client: client_view() }));
        }
        add(
            "management/sessions.html",
            page.with(&sessions::SessionListView {
                user: TEXT.to_owned(),
                client: TEXT.to_owned(),
                user_error: full.then_some("There is no such user."),
                client_error: full.then_some("There is no client with this id."),
                filtered: full,
                first: !full,
                sessions: if full { sessions() } else { Vec::new() },
                next,
                end_url: BASE.to_owned(),
            }),
        );
        add(
            "management/sessions_end.html",
            page.with(&sessions::EndSessionsView { user: link(), client: link() }),
        );
        add(
            refused_page::TEMPLATE,
            Context::from_serialize(&RefusedView {
                style: String::new(),
                status: 401,
                title: "Unauthorized".to_owned(),
                message: TEXT.to_owned(),
            }),
        );
        add(
            "management/message.html",
            page.with(&error_page::MessageView {
                status: 404,
                title: "Not Found",
                message: TEXT.to_owned(),
            }),
        );
    }
    samples
}

fn dashboard(
    full: bool,
    error: Option<String>,
    user: &dyn Fn() -> UserView,
    client: &dyn Fn() -> ClientView,
) -> dashboard::DashboardView {
    let count = || full.then(|| "10,000+".to_owned());
    let hour = Hour { start: NOW, logins: 12, failures: 3 };
    dashboard::DashboardView {
        counts: dashboard::DashboardCounts { users: count(), clients: count(), sessions: count() },
        health: dashboard::StoreHealthView { store: full, redis: full.then_some(true) },
        chart: Chart::of(&if full { vec![hour] } else { Vec::new() }),
        users: if full { vec![user()] } else { Vec::new() },
        clients: if full { vec![client()] } else { Vec::new() },
        error,
        request: dashboard::FlaskRequest { method: "GET", path: BASE.to_owned() },
    }
}

/// Returns a sample form with an error and a different submitted value in every field, if `wrong`
/// is true; otherwise returns `form` unchanged.
fn wrong(form: FormView, wrong: bool) -> FormView {
    if !wrong {
        return form;
    }
    let names: Vec<_> = form.names().collect();
    let typed = names.iter().copied().fold(FormView::default(), |form, name| form.with(name, TEXT));
    let mut form = form.with_submitted(&typed, &[]);
    for name in names {
        form.set_error(name, TEXT);
    }
    form
}

fn connect() -> ConnectView {
    let url = || Some("https://sentinel.example/oauth/token".to_owned());
    let line = "curl 'https://sentinel.example/oauth/token' -d client_id=sample".to_owned();
    ConnectView {
        token: url(),
        introspection: url(),
        revocation: url(),
        verify: url(),
        public: false,
        commands: vec![CommandView { title: "Log a user in", line }],
    }
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

fn client(id: ClientId, full: bool) -> Client {
    Client {
        id,
        name: if full { TEXT.to_owned() } else { String::new() },
        kind: if full {
            ClientKind::Confidential(StoredSecret::Digest(Digest::of(b"")))
        } else {
            ClientKind::Public
        },
        grants: if full { Grant::ALL.into() } else { [].into() },
        scopes: if full { scope() } else { Scope::empty() },
        default_scopes: if full { scope() } else { Scope::empty() },
        access_token_ttl: full.then_some(DAY),
        refresh_idle_ttl: None,
        session_ttl: None,
        introspection: full,
        introspect_refresh_tokens: full,
        enabled: full,
        generation: 0,
        version: 0,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn session(user: &User, client: &Client, full: bool) -> Option<SessionView> {
    let owner = SessionUser { id: user.id, username: user.username.clone(), generation: 0 };
    let new = NewSession {
        user: full.then_some(owner),
        client_id: client.id.clone(),
        client_generation: 0,
        scope: scope(),
        refreshable: full,
    };
    // A server that gets no random bytes does not start.
    let (session, _) = Session::start(new, &LIFETIMES, NOW).ok()?;
    Some(SessionView::of(&session, TEXT.to_owned(), BASE, NOW))
}
