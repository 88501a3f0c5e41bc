//! Cases for `SessionStore`.

use std::time::Duration;

use sentinel::domain::{Client, Session, SessionId, SessionUser, Timestamp, User};
use sentinel::store::{CallerLookup, Page, SessionFilter, Stores, Update, Want};

use super::Backend;
use super::samples::{
    LIFETIMES, NextVersion, client, is_alive, session, stored_client, stored_session, stored_user,
    user,
};
use crate::helpers::START;

pub(super) async fn session_starts_only_if_user_and_client_are_unchanged(
    Backend { stores, .. }: &Backend,
) {
    let alice = User { generation: 4, ..user("alice") };
    let disabled_user = User { enabled: false, ..user("bob") };
    let app = Client { generation: 6, ..client() };
    let disabled_client = Client { enabled: false, ..client() };
    for user in [&alice, &disabled_user] {
        assert!(stores.users.insert(user).await.unwrap());
    }
    for client in [&app, &disabled_client] {
        assert!(stores.clients.insert(client).await.unwrap());
    }
    let of = |user: &User, client: &Client| session(Some(user), client);
    let refused = [
        ("unknown user", of(&user("nobody"), &app)),
        ("disabled user", of(&disabled_user, &app)),
        ("user before a change", of(&User { generation: 3, ..alice.clone() }, &app)),
        ("user after a change", of(&User { generation: 5, ..alice.clone() }, &app)),
        ("unknown client", of(&alice, &client())),
        ("disabled client", of(&alice, &disabled_client)),
        ("client before a change", of(&alice, &Client { generation: 5, ..app.clone() })),
        ("client after a change", of(&alice, &Client { generation: 7, ..app.clone() })),
        ("unknown client by itself", session(None, &client())),
        ("disabled client by itself", session(None, &disabled_client)),
        ("changed client by itself", session(None, &Client { generation: 5, ..app.clone() })),
    ];
    for (why, session) in refused {
        assert!(!stores.sessions.insert(&session).await.unwrap(), "{why}");
        assert!(!is_alive(stores, &session).await, "{why}");
    }
    let fine = stored_session(stores, Some(&alice), &app).await;
    assert_eq!(stores.sessions.find(fine.id).await.unwrap(), Some(fine));
}

pub(super) async fn session_without_user_is_accepted(Backend { stores, .. }: &Backend) {
    let app = stored_client(stores).await;
    let session = stored_session(stores, None, &app).await;
    assert_eq!(stores.sessions.find(session.id).await.unwrap(), Some(session));
}

pub(super) async fn replace_requires_the_preceding_version(Backend { stores, .. }: &Backend) {
    let app = stored_client(stores).await;
    let first = stored_session(stores, None, &app).await;
    let untouched = stored_session(stores, None, &app).await;
    let second = Session { access_tokens: Vec::new(), ..first.next() };
    assert!(stores.sessions.replace(&second, false).await.unwrap().value);
    assert_eq!(stores.sessions.find(first.id).await.unwrap(), Some(second.clone()));
    for version in [0, 1, 3, 100] {
        let wrong = Session { version, ..first.clone() };
        assert!(!stores.sessions.replace(&wrong, false).await.unwrap().value, "{version}");
    }
    assert_eq!(stores.sessions.find(first.id).await.unwrap(), Some(second));
    assert_eq!(stores.sessions.find(untouched.id).await.unwrap(), Some(untouched));
}

pub(super) async fn ended_session_stays_ended(Backend { stores, .. }: &Backend) {
    let app = stored_client(stores).await;
    let ended = stored_session(stores, None, &app).await;
    let other = stored_session(stores, None, &app).await;
    assert!(stores.sessions.delete(ended.id).await.unwrap().value);
    assert!(!is_alive(stores, &ended).await);
    assert!(!stores.sessions.replace(&ended.next(), false).await.unwrap().value);
    assert!(!is_alive(stores, &ended).await);
    assert!(!stores.sessions.delete(ended.id).await.unwrap().value);
    assert!(is_alive(stores, &other).await);
}

pub(super) async fn only_the_current_version_is_confirmed_durable(
    Backend { stores, other, .. }: &Backend,
) {
    let app = stored_client(stores).await;
    let first = stored_session(stores, None, &app).await;
    assert!(other.sessions.confirm_durable(first.id, first.version).await.unwrap().value);
    assert!(!other.sessions.confirm_durable(first.id, first.version + 1).await.unwrap().value);
    let second = first.next();
    assert!(stores.sessions.replace(&second, false).await.unwrap().value);
    assert!(!other.sessions.confirm_durable(first.id, first.version).await.unwrap().value);
    assert!(other.sessions.confirm_durable(second.id, second.version).await.unwrap().value);
    assert_eq!(stores.sessions.find(second.id).await.unwrap(), Some(second.clone()));
    assert!(stores.sessions.delete(second.id).await.unwrap().value);
    assert!(!other.sessions.confirm_durable(second.id, second.version).await.unwrap().value);
}

pub(super) async fn lookup_reports_a_changed_introspection_client(
    Backend { stores, other, .. }: &Backend,
) {
    let app = stored_client(stores).await;
    let caller = stored_client(stores).await;
    let there = stored_session(stores, None, &app).await;
    let missing = session(None, &app);
    let look = async |id, caller: &Client| {
        let want = Want { access: None, caller: Some(caller) };
        stores.sessions.look_up(id, want).await.unwrap()
    };
    let found = CallerLookup::Session(Some(Box::new(there.clone())));
    assert_eq!(look(there.id, &caller).await, found);
    assert_eq!(look(missing.id, &caller).await, CallerLookup::Session(None));
    assert_eq!(look(there.id, &client()).await, CallerLookup::CallerChanged);

    assert_eq!(stores.clients.find(&caller.id).await.unwrap().as_ref(), Some(&caller));
    let changed = Client { enabled: false, ..caller.next() };
    assert_eq!(other.clients.update(&changed).await.unwrap().value, Update::Done);
    assert_eq!(look(there.id, &caller).await, CallerLookup::CallerChanged);
    assert_eq!(look(missing.id, &caller).await, CallerLookup::CallerChanged);
    assert_eq!(look(there.id, &changed).await, found);

    // A recreated client has the same id and version, but differs otherwise.
    assert!(other.clients.delete(&caller.id, None).await.unwrap().value);
    assert_eq!(look(there.id, &changed).await, CallerLookup::CallerChanged);
    let later = changed.updated_at.plus(Duration::from_millis(1));
    let again = Client { created_at: later, updated_at: later, ..changed.clone() };
    assert!(other.clients.insert(&again).await.unwrap());
    assert_eq!(look(there.id, &changed).await, CallerLookup::CallerChanged);
    assert_eq!(look(there.id, &again).await, found);
}

/// Stores two users, two clients, a session of each pair, and one of each client alone.
async fn store_six_sessions(stores: &Stores) -> (Vec<User>, Vec<Client>, Vec<Session>) {
    let users = vec![stored_user(stores, "alice").await, stored_user(stores, "bob").await];
    let clients = vec![stored_client(stores).await, stored_client(stores).await];
    let mut sessions = Vec::new();
    for client in &clients {
        sessions.push(stored_session(stores, None, client).await);
        for user in &users {
            sessions.push(stored_session(stores, Some(user), client).await);
        }
    }
    sessions.sort_unstable_by_key(|session| session.id);
    (users, clients, sessions)
}

fn fits(filter: &SessionFilter, session: &Session) -> bool {
    let user = session.user.as_ref().map(|user: &SessionUser| user.id);
    filter.user.is_none_or(|wanted| user == Some(wanted))
        && filter.client.as_ref().is_none_or(|wanted| session.client_id == *wanted)
}

fn filters(users: &[User], clients: &[Client]) -> [(SessionFilter, usize); 5] {
    let (user, client) = (Some(users[0].id), Some(clients[1].id.clone()));
    [
        (SessionFilter { user, client: client.clone(), alive_at: None }, 1),
        (SessionFilter { user, client: None, alive_at: None }, 2),
        (SessionFilter { user: None, client, alive_at: None }, 3),
        (SessionFilter { user: Some(unknown_user_id()), client: None, alive_at: None }, 0),
        (SessionFilter::default(), 6),
    ]
}

fn unknown_user_id() -> sentinel::domain::UserId {
    user("nobody").id
}

pub(super) async fn sessions_are_ended_by_user_client_both_or_all(
    Backend { stores, .. }: &Backend,
) {
    for turn in 0..5 {
        let (users, clients, sessions) = store_six_sessions(stores).await;
        let (filter, count) = filters(&users, &clients)[turn].clone();
        assert_eq!(
            stores.sessions.delete_all(&filter).await.unwrap().value,
            count as u64,
            "{filter:?}"
        );
        for session in &sessions {
            assert_eq!(is_alive(stores, session).await, !fits(&filter, session), "{filter:?}");
        }
        assert_eq!(stores.sessions.delete_all(&filter).await.unwrap().value, 0, "{filter:?}");
        for user in users {
            assert!(stores.users.delete(user.id, None).await.unwrap().value);
        }
        for client in clients {
            assert!(stores.clients.delete(&client.id, None).await.unwrap().value);
        }
    }
}

pub(super) async fn sessions_are_listed_by_id_in_pages_with_filters(
    Backend { stores, .. }: &Backend,
) {
    let (users, clients, sessions) = store_six_sessions(stores).await;
    for (filter, count) in filters(&users, &clients) {
        let wanted: Vec<_> = sessions.iter().filter(|session| fits(&filter, session)).collect();
        assert_eq!(wanted.len(), count);
        for limit in [1, 2, 6, 100] {
            let mut seen: Vec<Session> = Vec::new();
            let mut page = Page::first(limit);
            loop {
                let sessions = stores.listing.list_sessions(&filter, &page).await.unwrap();
                assert!(sessions.len() <= limit as usize);
                let Some(last) = sessions.last() else { break };
                page.cursor = Some(last.id.to_string());
                seen.extend(sessions);
            }
            assert_eq!(seen.iter().collect::<Vec<_>>(), wanted, "{filter:?} by {limit}");
        }
        assert_eq!(stores.listing.list_sessions(&filter, &Page::first(0)).await.unwrap(), []);
    }
    for limit in [1, 4, 100] {
        let (mut seen, mut page) = (Vec::new(), Page::first(limit));
        loop {
            let found = stores.listing.list_sessions_skipping_corrupt(&page).await.unwrap();
            assert!(found.len() <= limit as usize);
            let Some(last) = found.last() else { break };
            page.cursor = Some(last.id.to_string());
            seen.extend(found);
        }
        assert_eq!(seen, sessions, "by {limit}");
    }
    assert_eq!(stores.listing.list_sessions_skipping_corrupt(&Page::first(0)).await.unwrap(), []);
    // The last session of the previous page may have been deleted since.
    let gone = SessionId::from_bytes([0; 12]);
    let page = Page { cursor: Some(gone.to_string()), limit: 100 };
    let all = stores.listing.list_sessions(&SessionFilter::default(), &page).await.unwrap();
    assert_eq!(all, sessions);
}

pub(super) async fn alive_at_filter_lists_only_live_sessions(Backend { stores, .. }: &Backend) {
    let (users, clients, mut sessions) = store_six_sessions(stores).await;
    // A session without a refresh token expires with its access token, any other with the refresh
    // token.
    let short = |session: &Session| session.refresh.is_none();
    assert_eq!(sessions.iter().filter(|session| short(session)).count(), 2);
    let moment = START.plus(LIFETIMES.access_token);
    let over = sessions.iter().map(Session::expires_at).max().unwrap();
    let list = async |filter: SessionFilter, limit| {
        stores.listing.list_sessions(&filter, &Page::first(limit)).await.unwrap()
    };
    let (user, client) = (Some(users[0].id), Some(clients[1].id.clone()));
    for alive_at in [START, moment, over] {
        let alive_at = Some(alive_at);
        sessions.retain(|session| alive_at < Some(session.expires_at()));
        for filter in [
            SessionFilter { alive_at, ..SessionFilter::default() },
            SessionFilter { user, alive_at, ..SessionFilter::default() },
            SessionFilter { client: client.clone(), alive_at, ..SessionFilter::default() },
            SessionFilter { user, client: client.clone(), alive_at },
        ] {
            let wanted: Vec<_> = sessions.iter().filter(|session| fits(&filter, session)).collect();
            assert_eq!(list(filter.clone(), 100).await.iter().collect::<Vec<_>>(), wanted);
            // Expired sessions take no place on a page.
            let first: Vec<_> = wanted.into_iter().take(1).collect();
            assert_eq!(list(filter, 1).await.iter().collect::<Vec<_>>(), first);
        }
    }
    assert!(sessions.is_empty());
}

pub(super) async fn live_sessions_are_counted_up_to_a_limit(Backend { stores, .. }: &Backend) {
    let (_, _, sessions) = store_six_sessions(stores).await;
    let count = sessions.len() as u64;
    let over = sessions.iter().map(Session::expires_at).max().unwrap();
    assert_eq!(stores.listing.count_sessions(START, 100).await.unwrap(), count);
    assert_eq!(stores.listing.count_sessions(START, 2).await.unwrap(), 2);
    assert_eq!(stores.listing.count_sessions(START, 0).await.unwrap(), 0);
    // Expired sessions may still be stored.
    assert_eq!(stores.listing.count_sessions(over, 100).await.unwrap(), 0);
    assert!(stores.sessions.delete(sessions[0].id).await.unwrap().value);
    assert_eq!(stores.listing.count_sessions(START, 100).await.unwrap(), count - 1);
}

pub(super) async fn purge_deletes_only_expired_sessions(Backend { stores, .. }: &Backend) {
    let app = stored_client(stores).await;
    let alice = stored_user(stores, "alice").await;
    let second = Duration::from_secs(1);
    // A session without a refresh token expires with its access token, any other with the refresh
    // token.
    let short = stored_session(stores, None, &app).await;
    let long = stored_session(stores, Some(&alice), &app).await;
    assert_eq!(stores.sessions.purge(START, 100).await.unwrap(), 0);
    let end = START.plus(LIFETIMES.access_token);
    let before_end = Timestamp::from_millis(end.as_millis() - 1);
    assert_eq!(stores.sessions.purge(before_end, 100).await.unwrap(), 0);
    assert!(is_alive(stores, &short).await);
    assert_eq!(stores.sessions.purge(end.plus(second), 100).await.unwrap(), 1);
    assert!(!is_alive(stores, &short).await && is_alive(stores, &long).await);

    // A refresh extends the expiry, which replaces the earlier one.
    let end = START.plus(LIFETIMES.refresh_idle);
    let mut later = long.next();
    later.refresh.as_mut().unwrap().idle_ends_at = end.plus(second * 10);
    assert!(stores.sessions.replace(&later, false).await.unwrap().value);
    assert_eq!(stores.sessions.purge(end.plus(second), 100).await.unwrap(), 0);
    assert_eq!(stores.sessions.purge(end.plus(second * 11), 100).await.unwrap(), 1);
    assert!(!is_alive(stores, &long).await);
    assert!(!stores.sessions.replace(&later.next(), false).await.unwrap().value);
    assert!(stores.users.find(alice.id).await.unwrap().is_some());
}

pub(super) async fn purge_deletes_at_most_its_limit(Backend { stores, .. }: &Backend) {
    let app = stored_client(stores).await;
    for _ in 0..7 {
        stored_session(stores, None, &app).await;
    }
    let over = START.plus(LIFETIMES.session * 2);
    for (limit, removed) in [(0, 0), (3, 3), (3, 3), (3, 1), (3, 0)] {
        assert_eq!(stores.sessions.purge(over, limit).await.unwrap(), removed);
    }
}

pub(super) async fn writes_are_visible_to_other_processes_immediately(
    Backend { stores, other, .. }: &Backend,
) {
    for (here, there) in [(stores, other), (other, stores)] {
        let alice = stored_user(here, "alice").await;
        let app = stored_client(here).await;
        for round in 0..20 {
            let session = stored_session(here, Some(&alice), &app).await;
            assert_eq!(there.sessions.find(session.id).await.unwrap().as_ref(), Some(&session));
            let next = Session { access_tokens: Vec::new(), ..session.next() };
            assert!(there.sessions.replace(&next, false).await.unwrap().value, "round {round}");
            assert_eq!(here.sessions.find(session.id).await.unwrap(), Some(next));
            assert!(here.sessions.delete(session.id).await.unwrap().value);
            assert!(!is_alive(there, &session).await);
        }
        let session = stored_session(here, Some(&alice), &app).await;
        let alice = User { generation: 1, ..alice.next() };
        assert_eq!(there.users.update(&alice).await.unwrap().value, Update::Done);
        assert!(!is_alive(here, &session).await);
        assert!(!here.sessions.insert(&session).await.unwrap());
        assert!(here.users.delete(alice.id, None).await.unwrap().value);
    }
}

pub(super) async fn put_session_overwrites_any_version_without_checking_user_or_client(
    Backend { stores, .. }: &Backend,
) {
    let (alice, client) = (user("alice"), client());
    let first = session(Some(&alice), &client);
    let later = Session { version: 23, access_tokens: Vec::new(), ..first.clone() };
    for session in [&first, &later, &first, &later] {
        stores.transfer.put_session_unchecked(session).await.unwrap();
        assert_eq!(stores.sessions.find(session.id).await.unwrap().as_ref(), Some(session));
    }
    let listed =
        stores.listing.list_sessions(&SessionFilter::default(), &Page::first(10)).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&later));
    assert!(stores.sessions.replace(&later.next(), false).await.unwrap().value);
    assert!(stores.sessions.delete(first.id).await.unwrap().value);
    stores.transfer.put_session_unchecked(&first).await.unwrap();
    assert_eq!(stores.sessions.find(first.id).await.unwrap(), Some(first));
}

pub(super) async fn rename_is_propagated_to_sessions_stored_by_put(
    Backend { stores, .. }: &Backend,
) {
    let (alice, client) = (user("alice"), client());
    stores.transfer.put_user_unchecked(&alice).await.unwrap();
    stores.transfer.put_client_unchecked(&client).await.unwrap();
    let session = session(Some(&alice), &client);
    stores.transfer.put_session_unchecked(&session).await.unwrap();
    let renamed = User { username: "alicia".to_owned(), ..alice.next() };
    assert_eq!(stores.users.update(&renamed).await.unwrap().value, Update::Done);
    let found = stores.sessions.find(session.id).await.unwrap().unwrap();
    assert_eq!(found.user.unwrap().username, "alicia");
    assert_eq!(found.version, session.version + 1);
}
