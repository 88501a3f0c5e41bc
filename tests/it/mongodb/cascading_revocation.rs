//! Updates and deletions that were interrupted before they ended the sessions.

use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::{Document, doc, oid::ObjectId};
use sentinel::domain::{Client, Session, Timestamp, User};
use sentinel::store::mongo::MongoStore;
use sentinel::store::{Page, Stores, Update};

use crate::helpers::mongod::{self, TestDatabase};
use crate::store_contract::samples::{
    NextVersion, client, is_alive, stored_client, stored_session, stored_user, user,
};

async fn open(target: &TestDatabase) -> Stores {
    MongoStore::open(&target.settings().mongo).await.unwrap().into_stores()
}

/// User and client with a session, and the state that a crashed process left of them.
struct World {
    target: TestDatabase,
    stores: Stores,
    alice: User,
    app: Client,
    session: Session,
}

impl World {
    async fn new() -> Self {
        let target = mongod::replica_set().await;
        let stores = open(&target).await;
        let alice = stored_user(&stores, "alice").await;
        let app = stored_client(&stores).await;
        let session = stored_session(&stores, Some(&alice), &app).await;
        Self { target, stores, alice, app, session }
    }

    async fn collection(&self, name: &str) -> Collection<Document> {
        self.target.database().await.collection(name)
    }

    fn user_key(&self) -> Document {
        doc! { "_id": ObjectId::from_bytes(*self.alice.id.as_bytes()) }
    }

    /// Performs only the first write of an update that disables the user.
    async fn disable_user_and_crash(&self) {
        let change = doc! {
            "$set": { "enabled": false, "ending": 1_i64 },
            "$inc": { "generation": 1_i64, "version": 1_i64 },
        };
        let users = self.collection("sentinel_users").await;
        users.update_one(self.user_key(), change).await.unwrap();
        assert!(is_alive(&self.stores, &self.session).await);
    }

    async fn marks(&self, name: &str) -> u64 {
        let marked = doc! { "ending": { "$exists": true } };
        self.collection(name).await.count_documents(marked).await.unwrap()
    }
}

#[tokio::test]
async fn interrupted_disabling_of_user_is_completed_by_next_start() {
    let world = World::new().await;
    world.disable_user_and_crash().await;
    let other = open(&world.target).await;
    assert!(!is_alive(&other, &world.session).await);
    assert_eq!(world.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn interrupted_disabling_of_user_is_completed_by_purge() {
    let world = World::new().await;
    world.disable_user_and_crash().await;
    assert_eq!(world.stores.sessions.purge(Timestamp::from_millis(0), 1).await.unwrap(), 0);
    assert!(!is_alive(&world.stores, &world.session).await);
    assert_eq!(world.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn interrupted_disabling_of_user_is_completed_by_next_update() {
    let world = World::new().await;
    world.disable_user_and_crash().await;
    let found = world.stores.users.find(world.alice.id).await.unwrap().unwrap();
    assert!(!found.enabled);
    let enabled = User { enabled: true, ..found.next() };
    assert_eq!(world.stores.users.update(&enabled).await.unwrap().value, Update::Done);
    assert!(!is_alive(&world.stores, &world.session).await);
    assert_eq!(world.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn interrupted_rename_of_user_is_propagated_by_purge() {
    let world = World::new().await;
    let change =
        doc! { "$set": { "username": "alicia", "ending": 1_i64 }, "$inc": { "version": 1_i64 } };
    world.collection("sentinel_users").await.update_one(world.user_key(), change).await.unwrap();
    let name = async || {
        let found = world.stores.sessions.find(world.session.id).await.unwrap().unwrap();
        found.user.unwrap().username
    };
    assert_eq!(name().await, "alice");
    world.stores.sessions.purge(Timestamp::from_millis(0), 1).await.unwrap();
    assert_eq!(name().await, "alicia");
    assert_eq!(world.marks("sentinel_users").await, 0);
}

/// A slow process may propagate an old name after the user was renamed again.
#[tokio::test]
async fn earlier_username_never_replaces_later_one() {
    let world = World::new().await;
    let renamed = User { username: "alicia".to_owned(), ..world.alice.next() };
    assert_eq!(world.stores.users.update(&renamed).await.unwrap().value, Update::Done);
    // Simulates a propagation of the first name, at version 0, that was never completed.
    let stale = doc! { "$set": { "username": "alice", "version": 0_i64, "ending": 0_i64 } };
    world.collection("sentinel_users").await.update_one(world.user_key(), stale).await.unwrap();
    world.stores.sessions.purge(Timestamp::from_millis(0), 1).await.unwrap();
    let found = world.stores.sessions.find(world.session.id).await.unwrap().unwrap();
    assert_eq!(found.user.unwrap().username, "alicia");
}

#[tokio::test]
async fn interrupted_deletion_of_user_hides_user_and_is_completed() {
    let world = World::new().await;
    let change = doc! {
        "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
        "$unset": { "username": "", "password": "" },
        "$inc": { "generation": 1_i64, "version": 1_i64 },
    };
    world.collection("sentinel_users").await.update_one(world.user_key(), change).await.unwrap();
    let (users, alice) = (&world.stores.users, &world.alice);
    assert_eq!(users.find(alice.id).await.unwrap(), None);
    assert_eq!(users.find_by_name("alice").await.unwrap(), None);
    assert_eq!(world.stores.listing.list_users("", &Page::first(10)).await.unwrap(), []);
    assert_eq!(users.update(&alice.next()).await.unwrap().value, Update::Stale);
    assert!(!world.stores.sessions.insert(&world.session).await.is_ok_and(|added| added));
    // The name and the id are available immediately.
    assert!(users.insert(&user("alice")).await.unwrap());
    let imported = User { username: "alice-again".to_owned(), ..alice.clone() };
    assert!(users.insert(&imported).await.unwrap());
    assert!(!is_alive(&world.stores, &world.session).await);
    assert_eq!(world.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn insert_many_can_reuse_id_of_interrupted_deletion() {
    let world = World::new().await;
    let change = doc! {
        "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
        "$unset": { "username": "", "password": "" },
        "$inc": { "generation": 1_i64, "version": 1_i64 },
    };
    world.collection("sentinel_users").await.update_one(world.user_key(), change).await.unwrap();
    let taken = user("taken");
    assert!(world.stores.users.insert(&taken).await.unwrap());
    let imported = User { username: "alice-again".to_owned(), ..world.alice.clone() };
    let many = [user("bob"), taken, imported.clone(), user("carol")];
    let added = world.stores.transfer.insert_users(&many).await.unwrap();
    assert_eq!(added, [true, false, true, true]);
    assert_eq!(world.stores.users.find(imported.id).await.unwrap(), Some(imported));
    assert!(!is_alive(&world.stores, &world.session).await);
    assert_eq!(world.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn interrupted_disabling_and_deletion_of_client_are_completed() {
    let world = World::new().await;
    let key = doc! { "_id": world.app.id.as_str() };
    let clients = world.collection("sentinel_clients").await;
    let disabled = doc! {
        "$set": { "enabled": false, "ending": 1_i64 },
        "$inc": { "generation": 1_i64, "version": 1_i64 },
    };
    clients.update_one(key.clone(), disabled).await.unwrap();
    world.stores.sessions.purge(Timestamp::from_millis(0), 1).await.unwrap();
    assert!(!is_alive(&world.stores, &world.session).await);
    assert_eq!(world.marks("sentinel_clients").await, 0);

    let deleted = doc! {
        "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
        "$inc": { "generation": 1_i64, "version": 1_i64 },
    };
    clients.update_one(key, deleted).await.unwrap();
    let store = &world.stores.clients;
    assert_eq!(store.find(&world.app.id).await.unwrap(), None);
    assert_eq!(world.stores.listing.list_clients("", &Page::first(10)).await.unwrap(), []);
    assert!(!store.delete(&world.app.id, None).await.unwrap().value);
    assert_eq!(world.marks("sentinel_clients").await, 0);
    let again = Client { id: world.app.id.clone(), ..client() };
    assert!(store.insert(&again).await.unwrap());
}

#[tokio::test]
async fn client_of_older_version_may_not_introspect_refresh_tokens() {
    let world = World::new().await;
    let clients = world.collection("sentinel_clients").await;
    let older = doc! {
        "$set": { "introspection": true },
        "$unset": { "introspect_refresh_tokens": "" },
    };
    let changed = clients.update_one(doc! { "_id": world.app.id.as_str() }, older).await.unwrap();
    assert_eq!(changed.modified_count, 1);
    let client = world.stores.clients.find(&world.app.id).await.unwrap().unwrap();
    assert!(client.introspection && !client.introspect_refresh_tokens);
}

/// The cascade of a corrupt record is unknown, and must not block any other work.
#[tokio::test]
async fn corrupt_marked_record_blocks_neither_start_nor_purge() {
    let world = World::new().await;
    let damaged =
        doc! { "_id": ObjectId::new(), "username": "a", "generation": "x", "ending": 1_i64 };
    world.collection("sentinel_users").await.insert_one(damaged).await.unwrap();
    let damaged = doc! { "_id": "app", "name": "a", "version": "x", "ending": 1_i64 };
    world.collection("sentinel_clients").await.insert_one(damaged).await.unwrap();
    world.disable_user_and_crash().await;
    let other = open(&world.target).await;
    assert!(!is_alive(&other, &world.session).await);
    assert_eq!(world.marks("sentinel_users").await, 1);
    let over = world.session.expires_at().plus(Duration::from_secs(1));
    let another = stored_session(&world.stores, None, &world.app).await;
    assert_eq!(world.stores.sessions.purge(over, 10).await.unwrap(), 1);
    assert!(!is_alive(&world.stores, &another).await);
}

#[tokio::test]
async fn corrupt_sessions_are_skipped_in_listing() {
    let world = World::new().await;
    let mut sessions = vec![world.session.clone()];
    for _ in 0..4 {
        sessions.push(stored_session(&world.stores, None, &world.app).await);
    }
    sessions.sort_unstable_by_key(|session| session.id);
    let collection = world.collection("sentinel_sessions").await;
    for damaged in [sessions.remove(3), sessions.remove(0)] {
        let this = doc! { "_id": ObjectId::from_bytes(*damaged.id.as_bytes()) };
        collection.update_one(this, doc! { "$set": { "scope": 7 } }).await.unwrap();
    }
    for limit in 1..5 {
        let (mut seen, mut page) = (Vec::new(), Page::first(limit));
        loop {
            let found = world.stores.listing.list_sessions_skipping_corrupt(&page).await.unwrap();
            let is_last = found.len() < limit as usize;
            page.cursor = found.last().map(|session| session.id.to_string());
            seen.extend(found);
            if is_last {
                break;
            }
        }
        assert_eq!(seen, sessions, "by {limit}");
    }
}

/// MongoDB uses its own clock, and the purge uses Sentinel's.
#[tokio::test]
async fn ttl_index_removes_expired_session() {
    let world = World::new().await;
    let kept = stored_session(&world.stores, Some(&world.alice), &world.app).await;
    let mut over = world.session.next();
    over.access_tokens.clear();
    over.refresh.as_mut().unwrap().idle_ends_at = Timestamp::from_millis(1_000_000_000_000);
    assert!(world.stores.sessions.replace(&over, false).await.unwrap().value);
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while is_alive(&world.stores, &over).await {
        assert!(std::time::Instant::now() < deadline, "the session is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(is_alive(&world.stores, &kept).await);
}
