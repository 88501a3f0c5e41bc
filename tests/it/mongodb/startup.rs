//! Start with existing data, conflicting indexes and different topologies.

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Client, IndexModel};
use sentinel::store::StoreError;
use sentinel::store::mongo::MongoStore;

use crate::helpers::mongod::{self, Mongod, TestDatabase};
use crate::helpers::{AppBuilder, PASSWORD, START};
use crate::store_contract::samples::{stored_client, stored_session, stored_user};

async fn open(target: &TestDatabase) -> Result<MongoStore, StoreError> {
    MongoStore::open(&target.settings().mongo).await
}

async fn refused(target: &TestDatabase) -> String {
    let Err(StoreError::Configuration(sentence) | StoreError::Open(sentence)) = open(target).await
    else {
        panic!("the store was opened");
    };
    sentence
}

async fn indexes(target: &TestDatabase, collection: &str) -> Vec<String> {
    let database = target.database().await;
    let mut names = database.collection::<Document>(collection).list_index_names().await.unwrap();
    names.sort_unstable();
    names
}

/// A server of an earlier version, which may run beside this one, writes such documents.
#[tokio::test]
async fn user_without_name_key_is_found_exactly_until_the_key_is_added() {
    let target = mongod::replica_set().await;
    let stores = open(&target).await.unwrap().into_stores();
    let names = ["Alice", "Zo\u{eb}"];
    for name in names {
        stored_user(&stores, name).await;
    }
    let users = target.database().await.collection::<Document>("sentinel_users");
    let forget = async || {
        let forget = doc! { "$unset": { "username_key": "" } };
        users.update_many(doc! {}, forget).await.unwrap();
    };
    let found = async |name: &str| {
        let found = stores.users.find_by_name(name).await.unwrap();
        found.map(|user| user.username)
    };
    forget().await;
    for name in names {
        assert_eq!(found(name).await.as_deref(), Some(name));
    }
    assert_eq!(found("ALICE").await, None);
    stores.sessions.purge(START, 10).await.unwrap();
    assert_eq!(found("ALICE").await.as_deref(), Some("Alice"));
    forget().await;
    open(&target).await.unwrap();
    assert_eq!(found("zoe\u{308} ").await.as_deref(), Some("Zo\u{eb}"));
}

#[tokio::test]
async fn missing_indexes_are_created_on_existing_data() {
    let target = mongod::replica_set().await;
    let stores = open(&target).await.unwrap().into_stores();
    let alice = stored_user(&stores, "alice").await;
    let app = stored_client(&stores).await;
    let session = stored_session(&stores, Some(&alice), &app).await;
    let database = target.database().await;
    let collections = [
        ("sentinel_users", &["_id_", "ending", "username", "username_key"][..]),
        ("sentinel_clients", &["_id_", "ending", "name"]),
        ("sentinel_sessions", &["_id_", "client", "expiry", "lost", "user"]),
    ];
    for (name, wanted) in collections {
        assert_eq!(indexes(&target, name).await, wanted);
        database.collection::<Document>(name).drop_indexes().await.unwrap();
        assert_eq!(indexes(&target, name).await, ["_id_"]);
    }
    let stores = open(&target).await.unwrap().into_stores();
    for (name, wanted) in collections {
        assert_eq!(indexes(&target, name).await, wanted);
    }
    assert_eq!(stores.sessions.find(session.id).await.unwrap(), Some(session));
    // Opens the store once more with all indexes present.
    open(&target).await.unwrap();
}

#[tokio::test]
async fn duplicate_username_stops_start_with_message() {
    let target = mongod::replica_set().await;
    let users = target.database().await.collection::<Document>("sentinel_users");
    users.insert_many([doc! { "username": "alice" }, doc! { "username": "alice" }]).await.unwrap();
    let message = refused(&target).await;
    assert!(message.contains("sentinel_users") && message.contains("same user name"), "{message}");
    assert!(message.contains("alice"), "{message}");
}

#[tokio::test]
async fn conflicting_index_stops_start_with_message() {
    let target = mongod::replica_set().await;
    let sessions = target.database().await.collection::<Document>("sentinel_sessions");
    let never = IndexOptions::builder().name("expiry".to_owned()).build();
    let index = IndexModel::builder().keys(doc! { "expires_at": 1 }).options(never).build();
    sessions.create_index(index).await.unwrap();
    let message = refused(&target).await;
    assert!(message.contains("sentinel_sessions") && message.contains("drop it"), "{message}");
    sessions.drop_index("expiry").await.unwrap();
    open(&target).await.unwrap();
}

#[tokio::test]
async fn collections_of_flask_sentinel_are_unchanged() {
    let target = mongod::replica_set().await;
    let database = target.database().await;
    for name in ["users", "clients", "tokens"] {
        let theirs = doc! { "_id": name, "username": "alice", "client_id": "x" };
        database.collection(name).insert_one(theirs).await.unwrap();
    }
    let stores = open(&target).await.unwrap().into_stores();
    let alice = stored_user(&stores, "alice").await;
    assert!(stores.users.delete(alice.id, None).await.unwrap().value);
    stores
        .sessions
        .delete_all(&sentinel::store::SessionFilter::default())
        .await
        .unwrap()
        .into_result()
        .unwrap();
    for name in ["users", "clients", "tokens"] {
        let found: Vec<Document> =
            database.collection(name).find(doc! {}).await.unwrap().try_collect().await.unwrap();
        assert_eq!(found, [doc! { "_id": name, "username": "alice", "client_id": "x" }]);
        assert_eq!(indexes(&target, name).await, ["_id_"]);
    }
}

/// The member would still be read after another one became primary, and a token revoked there would
/// stay active.
#[tokio::test]
async fn direct_connection_to_one_of_several_members_is_refused() {
    let mongod = Mongod::start(&["--replSet", "rs0"]);
    mongod::prepare(&mongod.uri).await;
    let direct = format!("{}/?directConnection=true", mongod.uri);
    // In a set with a single member, no other member can become primary.
    open(&TestDatabase::on(&direct)).await.unwrap();
    let admin = Client::with_uri_str(&direct).await.unwrap().database("admin");
    let set = doc! { "_id": "rs0", "version": 2, "members": [
        { "_id": 0, "host": mongod.uri.trim_start_matches("mongodb://") },
        { "_id": 1, "host": "127.0.0.1:1", "priority": 0, "votes": 0 },
    ] };
    admin.run_command(doc! { "replSetReconfig": set, "force": true }).await.unwrap();
    let message = refused(&TestDatabase::on(&direct)).await;
    assert!(message.contains("directConnection"), "{message}");
    open(&TestDatabase::on(&mongod.uri)).await.unwrap();
}

/// Servers of two versions share a database during a rolling upgrade (`docs/upgrade.md`).
#[tokio::test]
async fn unknown_fields_of_later_version_are_ignored_and_kept() {
    let target = mongod::replica_set().await;
    let app = AppBuilder::default().mongodb(&target).spawn().await;
    let login = app.login().await;
    let database = target.database().await;
    for name in ["sentinel_users", "sentinel_clients", "sentinel_sessions"] {
        let later = doc! { "$set": { "later": { "a": [1, "b"] } } };
        let done = database.collection::<Document>(name).update_many(doc! {}, later).await;
        assert!(done.unwrap().modified_count > 0, "{name}");
    }
    let next = app.refresh(&login.refresh_token()).await;
    assert!(app.is_active(&next.access_token()).await);
    // A refresh writes only the tokens of the session and keeps its other fields.
    let kept = doc! { "later": { "$exists": true } };
    let sessions = database.collection::<Document>("sentinel_sessions");
    assert_eq!(sessions.count_documents(kept).await.unwrap(), 1);
    app.rename_user("alicia").await;
    assert_eq!(app.login_as("alicia", PASSWORD, &[]).await.status, 200);
    assert_eq!(app.introspect(&next.access_token()).await.json()["username"], "alicia");
    app.set_grants("password").await;
    app.delete_user().await;
    assert!(!app.is_active(&next.access_token()).await);
}
