//! Cases for `ClientStore`.

use std::time::Duration;

use sentinel::domain::{Client, ClientKind, Digest, Grant, PasswordHash, StoredSecret, Timestamp};
use sentinel::store::{Page, Update};

use super::Backend;
use super::samples::{
    NextVersion, client, is_alive, scope, stored_client, stored_session, stored_user,
};

fn with_all_fields_changed(client: &Client) -> Client {
    Client {
        name: "\u{1f511}\0 app".to_owned(),
        kind: ClientKind::Public,
        grants: [Grant::RefreshToken].into(),
        scopes: scope("a b c"),
        default_scopes: scope(""),
        access_token_ttl: Some(Duration::from_millis(1)),
        refresh_idle_ttl: Some(Duration::from_secs(86_400)),
        session_ttl: Some(Duration::ZERO),
        introspection: true,
        introspect_refresh_tokens: true,
        enabled: false,
        generation: 5,
        updated_at: Timestamp::from_millis(7),
        ..client.next()
    }
}

fn confidential(secret: StoredSecret) -> Client {
    Client { kind: ClientKind::Confidential(secret), ..client() }
}

pub(super) async fn secret_upgrade_replaces_only_the_expected_secret(
    Backend { stores, .. }: &Backend,
) {
    let digest = StoredSecret::Digest(Digest::of(b"secret"));
    let hash = |text: &str| PasswordHash::own(text.to_owned());
    let client = confidential(digest.clone());
    assert!(stores.clients.insert(&client).await.unwrap());
    let upgrade = async |old: &StoredSecret, new: &str| {
        stores.clients.upgrade_secret(&client.id, old, &hash(new)).await.unwrap()
    };
    assert!(!upgrade(&StoredSecret::Digest(Digest::of(b"other")), "$1").await);
    assert!(upgrade(&digest, "$1").await);
    assert!(!upgrade(&digest, "$2").await);
    assert!(upgrade(&StoredSecret::Hash(hash("$1")), "$2").await);
    assert!(!upgrade(&StoredSecret::Hash(hash("$1")), "$3").await);
    let found = stores.clients.find(&client.id).await.unwrap().unwrap();
    let kind = ClientKind::Confidential(StoredSecret::Hash(hash("$2")));
    assert_eq!(found, Client { kind, ..client });
    let unknown = "unknown".parse().unwrap();
    assert!(!stores.clients.upgrade_secret(&unknown, &digest, &hash("$1")).await.unwrap());
}

pub(super) async fn many_clients_are_found_by_id(Backend { stores, .. }: &Backend) {
    assert_eq!(stores.transfer.find_clients(&[]).await.unwrap(), []);
    let mut added: Vec<Client> = (0..300).map(|_| client()).collect();
    added.sort_by(|a, b| a.id.cmp(&b.id));
    for client in &added {
        assert!(stores.clients.insert(client).await.unwrap());
    }
    let deleted = added.pop().unwrap();
    assert!(stores.clients.delete(&deleted.id, None).await.unwrap().value);
    let mut ids: Vec<_> = (0..300).map(|_| client().id).collect();
    ids.extend(added.iter().map(|client| client.id.clone()));
    ids.push(deleted.id);
    let mut found = stores.transfer.find_clients(&ids).await.unwrap();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(found, added);
}

pub(super) async fn inserted_client_is_read_back_unchanged(Backend { stores, .. }: &Backend) {
    let clients = [
        client(),
        with_all_fields_changed(&client()),
        Client { name: String::new(), grants: [].into(), scopes: scope(""), ..client() },
        confidential(StoredSecret::Digest(Digest::from_bytes([0; 32]))),
        confidential(StoredSecret::Hash(PasswordHash::own("$argon2id$v=19$…".to_owned()))),
        Client { id: "a b!\"'%~".parse().unwrap(), ..client() },
        Client { id: "x".repeat(255).parse().unwrap(), ..client() },
    ];
    for client in &clients {
        assert!(stores.clients.insert(client).await.unwrap());
    }
    for client in &clients {
        assert_eq!(stores.clients.find(&client.id).await.unwrap().as_ref(), Some(client));
    }
    assert_eq!(stores.clients.find(&client().id).await.unwrap(), None);
}

pub(super) async fn client_id_is_unique_and_case_sensitive(Backend { stores, .. }: &Backend) {
    let ids = ["app", "App", "APP", "app ", "1", "01"];
    for id in ids {
        let client = Client { id: id.parse().unwrap(), name: id.to_owned(), ..client() };
        assert!(stores.clients.insert(&client).await.unwrap(), "{id:?}");
        let thief = Client { name: "thief".to_owned(), ..client.clone() };
        assert!(!stores.clients.insert(&thief).await.unwrap(), "{id:?}");
    }
    for id in ids {
        let found = stores.clients.find(&id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(found.name, id);
    }
    assert_eq!(stores.clients.find(&"aPP".parse().unwrap()).await.unwrap(), None);
}

pub(super) async fn clients_are_listed_by_id_page_by_page(Backend { stores, .. }: &Backend) {
    assert_eq!(stores.listing.list_clients("", &Page::first(10)).await.unwrap(), []);
    let mut ids = ["b", "a", "A", "z", "aa", "~", " ", "0", "10", "9"];
    for id in ids {
        let client = Client { id: id.parse().unwrap(), ..client() };
        assert!(stores.clients.insert(&client).await.unwrap());
    }
    ids.sort_unstable();
    for limit in [1, 3, 10, 11, u32::MAX] {
        let mut seen = Vec::new();
        let mut page = Page::first(limit);
        loop {
            let clients = stores.listing.list_clients("", &page).await.unwrap();
            assert!(clients.len() <= limit as usize);
            let Some(last) = clients.last() else { break };
            page.cursor = Some(last.id.to_string());
            seen.extend(clients.into_iter().map(|client| client.id.to_string()));
        }
        assert_eq!(seen, ids, "by {limit}");
    }
    assert_eq!(stores.listing.list_clients("", &Page::first(0)).await.unwrap(), []);
}

pub(super) async fn clients_are_found_by_parts_of_ids_and_names(Backend { stores, .. }: &Backend) {
    let mut known = [
        ("web-1", "Web app"),
        ("web-2", "Other"),
        ("x", "web-3"),
        ("W", "w"),
        ("w", ""),
        ("y", "we%"),
        ("z", "w\u{10ffff}"),
        ("a", "Web app"),
        ("0", "zebra"),
        ("e", "\u{e9}t\u{e9}"),
    ];
    for (id, name) in known {
        let client = Client { id: id.parse().unwrap(), name: name.to_owned(), ..client() };
        assert!(stores.clients.insert(&client).await.unwrap());
    }
    known.sort_unstable();
    for part in
        ["", "w", "eB", "b-", "W", "b app", "we%", "\u{10ffff}", "\u{c9}", "z", "%", "\0", "q"]
    {
        let small = part.to_ascii_lowercase();
        let has = |text: &str| text.to_ascii_lowercase().contains(&small);
        let is_found = |(id, name): &(&str, &str)| has(id) || has(name);
        let wanted: Vec<_> = known.into_iter().filter(is_found).map(|(id, _)| id).collect();
        let count = stores.listing.count_clients(part, 100).await.unwrap();
        assert_eq!(count, wanted.len() as u64, "{part:?}");
        for limit in [1, 2, 100] {
            let mut seen = Vec::new();
            let mut page = Page::first(limit);
            loop {
                let clients = stores.listing.list_clients(part, &page).await.unwrap();
                assert!(clients.len() <= limit as usize);
                let Some(last) = clients.last() else { break };
                page.cursor = Some(last.id.to_string());
                seen.extend(clients.into_iter().map(|client| client.id.to_string()));
            }
            assert_eq!(seen, wanted, "{part:?} by {limit}");
        }
    }
}

pub(super) async fn clients_are_counted_up_to_a_limit(Backend { stores, .. }: &Backend) {
    assert_eq!(stores.listing.count_clients("", 10).await.unwrap(), 0);
    let gone = stored_client(stores).await;
    stored_client(stores).await;
    stored_client(stores).await;
    assert_eq!(stores.listing.count_clients("", 10).await.unwrap(), 3);
    assert!(stores.clients.delete(&gone.id, None).await.unwrap().value);
    for (limit, count) in [(0, 0), (1, 1), (2, 2), (u32::MAX, 2)] {
        assert_eq!(stores.listing.count_clients("", limit).await.unwrap(), count, "up to {limit}");
    }
}

pub(super) async fn update_replaces_only_the_preceding_version(Backend { stores, .. }: &Backend) {
    let first = stored_client(stores).await;
    let untouched = stored_client(stores).await;
    let second = with_all_fields_changed(&first);
    assert_eq!(stores.clients.update(&second).await.unwrap().value, Update::Done);
    assert_eq!(stores.clients.find(&first.id).await.unwrap(), Some(second.clone()));
    for version in [0, 1, 3, 100] {
        let wrong = Client { name: "wrong".to_owned(), version, ..second.clone() };
        assert_eq!(stores.clients.update(&wrong).await.unwrap().value, Update::Stale, "{version}");
    }
    assert_eq!(stores.clients.find(&first.id).await.unwrap(), Some(second));
    assert_eq!(stores.clients.find(&untouched.id).await.unwrap(), Some(untouched));
    assert_eq!(stores.clients.update(&client().next()).await.unwrap().value, Update::Stale);
}

pub(super) async fn new_generation_ends_sessions_of_that_client_only(
    Backend { stores, .. }: &Backend,
) {
    let alice = stored_user(stores, "alice").await;
    let (app, other) = (stored_client(stores).await, stored_client(stores).await);
    let of_app = stored_session(stores, Some(&alice), &app).await;
    let own = stored_session(stores, None, &app).await;
    let of_other = stored_session(stores, Some(&alice), &other).await;

    let app = Client { name: "renamed".to_owned(), ..app.next() };
    assert_eq!(stores.clients.update(&app).await.unwrap().value, Update::Done);
    assert!(is_alive(stores, &of_app).await && is_alive(stores, &own).await);
    let stale = Client { generation: 9, ..app.clone() };
    assert_eq!(stores.clients.update(&stale).await.unwrap().value, Update::Stale);
    assert!(is_alive(stores, &of_app).await && is_alive(stores, &own).await);

    let app = Client { generation: 1, ..app.next() };
    assert_eq!(stores.clients.update(&app).await.unwrap().value, Update::Done);
    assert!(!is_alive(stores, &of_app).await && !is_alive(stores, &own).await);
    assert!(is_alive(stores, &of_other).await);
    assert!(!stores.sessions.insert(&of_app).await.unwrap());
    stored_session(stores, Some(&alice), &app).await;
}

pub(super) async fn deleting_a_client_deletes_its_sessions(Backend { stores, .. }: &Backend) {
    let alice = stored_user(stores, "alice").await;
    let (app, other) = (stored_client(stores).await, stored_client(stores).await);
    let of_app = stored_session(stores, Some(&alice), &app).await;
    let own = stored_session(stores, None, &app).await;
    let of_other = stored_session(stores, Some(&alice), &other).await;
    assert!(stores.clients.delete(&app.id, None).await.unwrap().value);
    assert!(!stores.clients.delete(&app.id, None).await.unwrap().value);
    assert_eq!(stores.clients.find(&app.id).await.unwrap(), None);
    assert!(!is_alive(stores, &of_app).await && !is_alive(stores, &own).await);
    assert!(is_alive(stores, &of_other).await);
    assert!(!stores.sessions.insert(&own).await.unwrap());
    assert_eq!(stores.clients.update(&app.next()).await.unwrap().value, Update::Stale);
}

pub(super) async fn client_is_deleted_only_at_the_given_version(Backend { stores, .. }: &Backend) {
    let app = stored_client(stores).await;
    let session = stored_session(stores, None, &app).await;
    let next = app.next();
    assert_eq!(stores.clients.update(&next).await.unwrap().value, Update::Done);
    for version in [0, 2, u64::MAX] {
        assert!(!stores.clients.delete(&app.id, Some(version)).await.unwrap().value, "{version}");
    }
    assert_eq!(stores.clients.find(&app.id).await.unwrap(), Some(next));
    assert!(is_alive(stores, &session).await);
    assert!(stores.clients.delete(&app.id, Some(1)).await.unwrap().value);
    assert!(!stores.clients.delete(&app.id, Some(1)).await.unwrap().value);
    assert_eq!(stores.clients.find(&app.id).await.unwrap(), None);
    assert!(!is_alive(stores, &session).await);
}

pub(super) async fn put_client_overwrites_any_version_and_ends_no_session(
    Backend { stores, .. }: &Backend,
) {
    let one = client();
    stores.transfer.put_client_unchecked(&one).await.unwrap();
    assert_eq!(stores.clients.find(&one.id).await.unwrap().as_ref(), Some(&one));
    let session = stored_session(stores, None, &one).await;
    let other = Client {
        kind: ClientKind::Public,
        enabled: false,
        generation: 5,
        version: 17,
        ..one.clone()
    };
    for client in [&other, &one, &other] {
        stores.transfer.put_client_unchecked(client).await.unwrap();
        assert_eq!(stores.clients.find(&one.id).await.unwrap().as_ref(), Some(client));
    }
    assert_eq!(stores.sessions.find(session.id).await.unwrap(), Some(session));
    assert_eq!(stores.clients.update(&other.next()).await.unwrap().value, Update::Done);
}
