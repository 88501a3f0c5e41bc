//! Cases with concurrent calls from two processes, on several threads.

use std::collections::HashSet;
use std::sync::Arc;

use sentinel::domain::{Client, Session, User};
use sentinel::store::{Page, SessionFilter, Stores, Update};
use tokio::sync::Notify;

use super::Backend;
use super::samples::{NextVersion, session, stored_client, stored_session, stored_user, user};
use crate::helpers::all;

/// Returns one of the two processes in turn.
fn process(Backend { stores, other, .. }: &Backend, turn: usize) -> Stores {
    if turn.is_multiple_of(2) { stores.clone() } else { other.clone() }
}

pub(super) async fn concurrent_replacements_of_one_version_succeed_once(backend: &Backend) {
    let app = stored_client(&backend.stores).await;
    let mut current = stored_session(&backend.stores, None, &app).await;
    for _ in 0..5 {
        let calls = (0..200).map(|turn| {
            let stores = process(backend, turn);
            let scope = format!("number-{turn}").parse().unwrap();
            let mut next = current.next();
            next.access_tokens[0].scope = Some(scope);
            async move { stores.sessions.replace(&next, false).await.unwrap().value.then_some(next) }
        });
        let mut winners: Vec<Session> = all(calls).await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        current = winners.remove(0);
        let found = backend.stores.sessions.find(current.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&current));
    }
}

pub(super) async fn concurrent_updates_of_one_version_succeed_once(backend: &Backend) {
    let alice = stored_user(&backend.stores, "alice").await;
    let app = stored_client(&backend.stores).await;
    let calls = (0..50).map(|turn| {
        let stores = process(backend, turn);
        let alice = User { username: format!("alice-{turn}"), ..alice.next() };
        let app = Client { name: format!("app-{turn}"), ..app.next() };
        async move {
            let user = stores.users.update(&alice).await.unwrap().value;
            (user, stores.clients.update(&app).await.unwrap().value, alice.username, app.name)
        }
    });
    let answers = all(calls).await;
    let users: Vec<_> = answers.iter().filter(|answer| answer.0 == Update::Done).collect();
    let clients: Vec<_> = answers.iter().filter(|answer| answer.1 == Update::Done).collect();
    assert_eq!((users.len(), clients.len()), (1, 1));
    let stale = |answer: &&(Update, Update, _, _)| answer.0 == Update::Stale;
    assert_eq!(answers.iter().filter(stale).count(), 49);
    let found = backend.stores.users.find(alice.id).await.unwrap().unwrap();
    assert_eq!(found.username, users[0].2);
    let found = backend.stores.clients.find(&app.id).await.unwrap().unwrap();
    assert_eq!(found.name, clients[0].3);
}

pub(super) async fn concurrent_inserts_of_one_username_succeed_once(backend: &Backend) {
    for round in 0..5 {
        let name = format!("alice-{round}");
        let calls = (0..50).map(|turn| {
            let (stores, user) = (process(backend, turn), user(&name));
            async move { stores.users.insert(&user).await.unwrap().then_some(user) }
        });
        let winners: Vec<User> = all(calls).await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        let found = backend.stores.users.find_by_name(&name).await.unwrap();
        assert_eq!(found.as_ref(), winners.first());
    }
    assert_eq!(backend.stores.listing.list_users("", &Page::first(100)).await.unwrap().len(), 5);
}

/// Logs in from both processes until logins are refused, and calls `end` meanwhile. No session that
/// was answered before remains, neither right after `end` nor later. If a login is a single write,
/// no session at all is visible right after `end`; otherwise none once all logins were refused.
async fn race<F: Future<Output = ()>>(
    backend: &Backend,
    user: Option<&User>,
    client: &Client,
    end: impl FnOnce() -> F,
) {
    let going = Arc::new(Notify::new());
    let logins: Vec<_> = (0..6)
        .map(|turn| {
            let (stores, going) = (process(backend, turn), Arc::clone(&going));
            let (user, client) = (user.cloned(), client.clone());
            tokio::spawn(async move {
                let mut answered = HashSet::new();
                loop {
                    let session = session(user.as_ref(), &client);
                    if !stores.sessions.insert(&session).await.unwrap() {
                        return answered;
                    }
                    answered.insert(session.id);
                    going.notify_one();
                }
            })
        })
        .collect();
    going.notified().await;
    end().await;
    let filter = SessionFilter {
        user: user.map(|user| user.id),
        client: Some(client.id.clone()),
        alive_at: None,
    };
    let left = |stores: Stores| {
        let filter = filter.clone();
        async move { stores.listing.list_sessions(&filter, &Page::first(100)).await.unwrap() }
    };
    let (here, there) = (left(backend.stores.clone()).await, left(backend.other.clone()).await);
    assert!(!backend.logins_are_one_write || (here.is_empty() && there.is_empty()), "{here:?}");
    let mut answered = HashSet::new();
    for login in logins {
        answered.extend(login.await.unwrap());
    }
    assert!(!answered.is_empty(), "the race was none");
    for session in here.iter().chain(&there) {
        assert!(!answered.contains(&session.id), "a login outlived its end");
    }
    assert_eq!(left(backend.stores.clone()).await, []);
    assert_eq!(left(backend.other.clone()).await, []);
    assert!(!backend.stores.sessions.insert(&session(user, client)).await.unwrap());
}

const ROUNDS: usize = 25;

pub(super) async fn no_login_survives_a_new_generation_of_its_user(backend: &Backend) {
    let app = stored_client(&backend.stores).await;
    let mut alice = stored_user(&backend.stores, "alice").await;
    for round in 0..ROUNDS {
        // A password change in even rounds, a disabled user in odd ones.
        let next =
            User { generation: alice.generation + 1, enabled: round % 2 == 0, ..alice.next() };
        race(backend, Some(&alice), &app, || async {
            let updated = process(backend, round / 2).users.update(&next).await.unwrap().value;
            assert_eq!(updated, Update::Done);
        })
        .await;
        alice = next;
        if !alice.enabled {
            alice = User { enabled: true, ..alice.next() };
            assert_eq!(backend.stores.users.update(&alice).await.unwrap().value, Update::Done);
        }
    }
}

pub(super) async fn no_login_survives_the_disabling_of_its_client(backend: &Backend) {
    let mut app = stored_client(&backend.stores).await;
    let alice = stored_user(&backend.stores, "alice").await;
    for round in 0..ROUNDS {
        let next = Client { generation: app.generation + 1, enabled: false, ..app.next() };
        let user = (round % 2 == 0).then_some(&alice);
        race(backend, user, &app, || async {
            let updated = process(backend, round).clients.update(&next).await.unwrap().value;
            assert_eq!(updated, Update::Done);
        })
        .await;
        app = Client { enabled: true, ..next.next() };
        assert_eq!(backend.stores.clients.update(&app).await.unwrap().value, Update::Done);
    }
}

pub(super) async fn no_login_survives_the_deletion_of_its_user(backend: &Backend) {
    let app = stored_client(&backend.stores).await;
    for round in 0..ROUNDS {
        let alice = stored_user(&backend.stores, "alice").await;
        race(backend, Some(&alice), &app, || async {
            assert!(process(backend, round).users.delete(alice.id, None).await.unwrap().value);
        })
        .await;
    }
}

pub(super) async fn no_login_survives_the_deletion_of_its_client(backend: &Backend) {
    let alice = stored_user(&backend.stores, "alice").await;
    for round in 0..ROUNDS {
        let app = stored_client(&backend.stores).await;
        let user = (round % 2 == 0).then_some(&alice);
        race(backend, user, &app, || async {
            assert!(process(backend, round).clients.delete(&app.id, None).await.unwrap().value);
        })
        .await;
    }
}

pub(super) async fn refresh_during_rename_does_not_restore_old_name(backend: &Backend) {
    let app = stored_client(&backend.stores).await;
    let mut alice = stored_user(&backend.stores, "alice").await;
    let started = stored_session(&backend.stores, Some(&alice), &app).await;
    for round in 0..ROUNDS {
        let refreshes: Vec<_> = (0..4)
            .map(|turn| {
                let (stores, id) = (process(backend, turn), started.id);
                tokio::spawn(async move {
                    // Retries after a conflict, so that a replacement succeeds in every round.
                    loop {
                        let read = stores.sessions.find(id).await.unwrap().unwrap();
                        if stores.sessions.replace(&read.next(), false).await.unwrap().value {
                            break;
                        }
                    }
                })
            })
            .collect();
        alice = User { username: format!("alice-{round}"), ..alice.next() };
        let updated = process(backend, round).users.update(&alice).await.unwrap().value;
        assert_eq!(updated, Update::Done);
        let name = |session: Option<Session>| session.unwrap().user.unwrap().username;
        let found = backend.stores.sessions.find(started.id).await.unwrap();
        assert_eq!(name(found), alice.username);
        for refresh in refreshes {
            refresh.await.unwrap();
        }
        let found = backend.other.sessions.find(started.id).await.unwrap();
        assert_eq!(name(found), alice.username);
    }
}

pub(super) async fn concurrent_replacement_does_not_restore_ended_session(backend: &Backend) {
    let app = stored_client(&backend.stores).await;
    for round in 0..ROUNDS {
        let started = stored_session(&backend.stores, None, &app).await;
        let going = Arc::new(Notify::new());
        let refreshes: Vec<_> = (0..4)
            .map(|turn| {
                let (stores, going) = (process(backend, turn), Arc::clone(&going));
                let id = started.id;
                tokio::spawn(async move {
                    while let Some(read) = stores.sessions.find(id).await.unwrap() {
                        if stores.sessions.replace(&read.next(), false).await.unwrap().value {
                            going.notify_one();
                        }
                    }
                })
            })
            .collect();
        going.notified().await;
        assert!(process(backend, round).sessions.delete(started.id).await.unwrap().value);
        for refresh in refreshes {
            refresh.await.unwrap();
        }
        assert_eq!(backend.stores.sessions.find(started.id).await.unwrap(), None);
    }
}
