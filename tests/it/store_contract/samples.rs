//! Users, clients and sessions for tests.

use std::time::Duration;

use sentinel::domain::{
    Client, ClientId, ClientKind, Digest, Grant, Lifetimes, NewSession, PasswordHash, Scope,
    Session, SessionUser, StoredSecret, User, UserId,
};
use sentinel::store::{Page, SessionFilter, Stores};

use crate::helpers::START;

pub(crate) const LIFETIMES: Lifetimes = Lifetimes {
    access_token: Duration::from_secs(3600),
    refresh_idle: Duration::from_secs(30 * 86_400),
    session: Duration::from_secs(180 * 86_400),
    refresh_grace: Duration::from_secs(30),
};

pub(crate) fn user(name: &str) -> User {
    User {
        id: UserId::from_bytes(rand::random()),
        username: name.to_owned(),
        password: PasswordHash::own("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA".to_owned()),
        scopes: None,
        enabled: true,
        generation: 0,
        version: 0,
        created_at: START,
        updated_at: START,
    }
}

pub(crate) fn client() -> Client {
    Client {
        id: ClientId::generate().unwrap(),
        name: "an app".to_owned(),
        kind: ClientKind::Confidential(StoredSecret::Digest(Digest::of(b"secret"))),
        grants: Grant::ALL.into(),
        scopes: scope("read write"),
        default_scopes: scope("read"),
        access_token_ttl: None,
        refresh_idle_ttl: None,
        session_ttl: None,
        introspection: false,
        introspect_refresh_tokens: false,
        enabled: true,
        generation: 0,
        version: 0,
        created_at: START,
        updated_at: START,
    }
}

/// Creates a session of this user and client, without storing it.
pub(crate) fn session(user: Option<&User>, client: &Client) -> Session {
    let new = NewSession {
        user: user.map(|user| SessionUser {
            id: user.id,
            username: user.username.clone(),
            generation: user.generation,
        }),
        client_id: client.id.clone(),
        client_generation: client.generation,
        scope: client.default_scopes.clone(),
        refreshable: user.is_some(),
    };
    Session::start(new, &LIFETIMES, START).unwrap().0
}

pub(crate) fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

/// Copies a record with the next version.
pub(crate) trait NextVersion {
    fn next(&self) -> Self;
}

macro_rules! next {
    ($($kind:ty),*) => {
        $(impl NextVersion for $kind {
            fn next(&self) -> Self {
                Self { version: self.version + 1, ..self.clone() }
            }
        })*
    };
}

next!(User, Client, Session);

pub(crate) async fn stored_user(stores: &Stores, name: &str) -> User {
    let user = user(name);
    assert!(stores.users.insert(&user).await.unwrap());
    user
}

pub(crate) async fn stored_client(stores: &Stores) -> Client {
    let client = client();
    assert!(stores.clients.insert(&client).await.unwrap());
    client
}

pub(crate) async fn stored_session(
    stores: &Stores,
    user: Option<&User>,
    client: &Client,
) -> Session {
    let session = session(user, client);
    assert!(stores.sessions.insert(&session).await.unwrap());
    session
}

/// Counts the sessions of a user.
pub(crate) async fn count_of(stores: &Stores, user: &User) -> usize {
    let filter = SessionFilter { user: Some(user.id), client: None, alive_at: None };
    stores.listing.list_sessions(&filter, &Page::first(10_000)).await.unwrap().len()
}

pub(crate) async fn is_alive(stores: &Stores, session: &Session) -> bool {
    stores.sessions.find(session.id).await.unwrap().is_some()
}
