//! An update or a deletion that was interrupted before it had ended the sessions.

use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::{Document, doc, oid::ObjectId};
use sentinel::domain::{Client, Session, Timestamp, User};
use sentinel::store::mongo::MongoStore;
use sentinel::store::{Page, Stores, Update};

use crate::helpers::mongod::{self, Target};
use crate::store_contract::samples::{
    Next, client, is_alive, stored_client, stored_session, stored_user, user,
};

async fn open(target: &Target) -> Stores {
    MongoStore::open(&target.settings().mongo).await.unwrap().into_stores()
}

/// A user and a client with a session, and what a process that crashed has left of them.
struct Left {
    target: Target,
    stores: Stores,
    alice: User,
    app: Client,
    session: Session,
}

impl Left {
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

    /// The first of the writes of an update that disables the user.
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
async fn a_disabling_that_was_interrupted_is_finished_by_the_next_start() {
    let left = Left::new().await;
    left.disable_user_and_crash().await;
    let other = open(&left.target).await;
    assert!(!is_alive(&other, &left.session).await);
    assert_eq!(left.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn it_is_finished_by_the_purge_of_any_process() {
    let left = Left::new().await;
    left.disable_user_and_crash().await;
    assert_eq!(left.stores.sessions.purge(Timestamp::from_millis(0), 1).await.unwrap(), 0);
    assert!(!is_alive(&left.stores, &left.session).await);
    assert_eq!(left.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn it_is_finished_by_the_next_update_of_the_user() {
    let left = Left::new().await;
    left.disable_user_and_crash().await;
    let found = left.stores.users.find(left.alice.id).await.unwrap().unwrap();
    assert!(!found.enabled);
    let enabled = User { enabled: true, ..found.next() };
    assert_eq!(left.stores.users.update(&enabled).await.unwrap(), Update::Done);
    assert!(!is_alive(&left.stores, &left.session).await);
    assert_eq!(left.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn a_renaming_that_was_interrupted_reaches_the_sessions() {
    let left = Left::new().await;
    let change =
        doc! { "$set": { "username": "alicia", "ending": 1_i64 }, "$inc": { "version": 1_i64 } };
    left.collection("sentinel_users").await.update_one(left.user_key(), change).await.unwrap();
    let name = async || {
        let found = left.stores.sessions.find(left.session.id).await.unwrap().unwrap();
        found.user.unwrap().username
    };
    assert_eq!(name().await, "alice");
    left.stores.sessions.purge(Timestamp::from_millis(0), 1).await.unwrap();
    assert_eq!(name().await, "alicia");
    assert_eq!(left.marks("sentinel_users").await, 0);
}

/// The carrier of an old name may be slow, and the name another one by now.
#[tokio::test]
async fn an_earlier_name_never_replaces_a_later_one() {
    let left = Left::new().await;
    let renamed = User { username: "alicia".to_owned(), ..left.alice.next() };
    assert_eq!(left.stores.users.update(&renamed).await.unwrap(), Update::Done);
    // As if version 0, with the first name, had been left unfinished all the time.
    let stale = doc! { "$set": { "username": "alice", "version": 0_i64, "ending": 0_i64 } };
    left.collection("sentinel_users").await.update_one(left.user_key(), stale).await.unwrap();
    left.stores.sessions.purge(Timestamp::from_millis(0), 1).await.unwrap();
    let found = left.stores.sessions.find(left.session.id).await.unwrap().unwrap();
    assert_eq!(found.user.unwrap().username, "alicia");
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_hides_the_user_and_is_finished() {
    let left = Left::new().await;
    let change = doc! {
        "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
        "$unset": { "username": "", "password": "" },
        "$inc": { "generation": 1_i64, "version": 1_i64 },
    };
    left.collection("sentinel_users").await.update_one(left.user_key(), change).await.unwrap();
    let (users, alice) = (&left.stores.users, &left.alice);
    assert_eq!(users.find(alice.id).await.unwrap(), None);
    assert_eq!(users.find_by_name("alice").await.unwrap(), None);
    assert_eq!(users.list(&sentinel::store::Page::first(10)).await.unwrap(), []);
    assert_eq!(users.update(&alice.next()).await.unwrap(), Update::Stale);
    assert!(!left.stores.sessions.insert(&left.session).await.is_ok_and(|added| added));
    // The name is free at once, and so is the id.
    assert!(users.insert(&user("alice")).await.unwrap());
    let imported = User { username: "alice-again".to_owned(), ..alice.clone() };
    assert!(users.insert(&imported).await.unwrap());
    assert!(!is_alive(&left.stores, &left.session).await);
    assert_eq!(left.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn many_users_at_once_get_the_id_of_an_interrupted_deletion_too() {
    let left = Left::new().await;
    let change = doc! {
        "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
        "$unset": { "username": "", "password": "" },
        "$inc": { "generation": 1_i64, "version": 1_i64 },
    };
    left.collection("sentinel_users").await.update_one(left.user_key(), change).await.unwrap();
    let taken = user("taken");
    assert!(left.stores.users.insert(&taken).await.unwrap());
    let imported = User { username: "alice-again".to_owned(), ..left.alice.clone() };
    let many = [user("bob"), taken, imported.clone(), user("carol")];
    let added = left.stores.users.insert_many(&many).await.unwrap();
    assert_eq!(added, [true, false, true, true]);
    assert_eq!(left.stores.users.find(imported.id).await.unwrap(), Some(imported));
    assert!(!is_alive(&left.stores, &left.session).await);
    assert_eq!(left.marks("sentinel_users").await, 0);
}

#[tokio::test]
async fn the_same_holds_of_clients() {
    let left = Left::new().await;
    let key = doc! { "_id": left.app.id.as_str() };
    let clients = left.collection("sentinel_clients").await;
    let disabled = doc! {
        "$set": { "enabled": false, "ending": 1_i64 },
        "$inc": { "generation": 1_i64, "version": 1_i64 },
    };
    clients.update_one(key.clone(), disabled).await.unwrap();
    left.stores.sessions.purge(Timestamp::from_millis(0), 1).await.unwrap();
    assert!(!is_alive(&left.stores, &left.session).await);
    assert_eq!(left.marks("sentinel_clients").await, 0);

    let deleted = doc! {
        "$set": { "enabled": false, "deleting": true, "ending": 0_i64 },
        "$inc": { "generation": 1_i64, "version": 1_i64 },
    };
    clients.update_one(key, deleted).await.unwrap();
    let store = &left.stores.clients;
    assert_eq!(store.find(&left.app.id).await.unwrap(), None);
    assert_eq!(store.list(&sentinel::store::Page::first(10)).await.unwrap(), []);
    assert!(!store.delete(&left.app.id).await.unwrap());
    assert_eq!(left.marks("sentinel_clients").await, 0);
    let again = Client { id: left.app.id.clone(), ..client() };
    assert!(store.insert(&again).await.unwrap());
}

/// Somebody has spoilt them by hand. Nobody knows what was to end, and all else goes on.
#[tokio::test]
async fn marked_records_that_cannot_be_read_stop_no_start_no_purge_and_no_other_ending() {
    let left = Left::new().await;
    let damaged =
        doc! { "_id": ObjectId::new(), "username": "a", "generation": "x", "ending": 1_i64 };
    left.collection("sentinel_users").await.insert_one(damaged).await.unwrap();
    let damaged = doc! { "_id": "app", "name": "a", "version": "x", "ending": 1_i64 };
    left.collection("sentinel_clients").await.insert_one(damaged).await.unwrap();
    left.disable_user_and_crash().await;
    let other = open(&left.target).await;
    assert!(!is_alive(&other, &left.session).await);
    assert_eq!(left.marks("sentinel_users").await, 1);
    let over = left.session.expires_at().plus(Duration::from_secs(1));
    let another = stored_session(&left.stores, None, &left.app).await;
    assert_eq!(left.stores.sessions.purge(over, 10).await.unwrap(), 1);
    assert!(!is_alive(&left.stores, &another).await);
}

#[tokio::test]
async fn sessions_that_cannot_be_read_are_passed_over_where_each_counts_for_itself() {
    let left = Left::new().await;
    let mut sessions = vec![left.session.clone()];
    for _ in 0..4 {
        sessions.push(stored_session(&left.stores, None, &left.app).await);
    }
    sessions.sort_unstable_by_key(|session| session.id);
    let collection = left.collection("sentinel_sessions").await;
    for damaged in [sessions.remove(3), sessions.remove(0)] {
        let this = doc! { "_id": ObjectId::from_bytes(*damaged.id.as_bytes()) };
        collection.update_one(this, doc! { "$set": { "scope": 7 } }).await.unwrap();
    }
    for limit in 1..5 {
        let (mut seen, mut page) = (Vec::new(), Page::first(limit));
        loop {
            let found = left.stores.sessions.list_sound(&page).await.unwrap();
            let is_last = found.len() < limit as usize;
            page.after = found.last().map(|session| session.id.to_string());
            seen.extend(found);
            if is_last {
                break;
            }
        }
        assert_eq!(seen, sessions, "by {limit}");
    }
}

/// MongoDB goes by its own clock, the purge by that of Sentinel.
#[tokio::test]
async fn mongodb_itself_removes_a_session_whose_last_token_is_over() {
    let left = Left::new().await;
    let kept = stored_session(&left.stores, Some(&left.alice), &left.app).await;
    let mut over = left.session.next();
    over.access.clear();
    over.refresh.as_mut().unwrap().idle_ends_at = Timestamp::from_millis(1_000_000_000_000);
    assert!(left.stores.sessions.replace(&over).await.unwrap());
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while is_alive(&left.stores, &over).await {
        assert!(std::time::Instant::now() < deadline, "the session is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(is_alive(&left.stores, &kept).await);
}
