//! Irregular documents, as found in real databases.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId};
use serde_json::Value;

use super::target::ImportTarget;
use crate::helpers::mongod::{self, TestDatabase};

/// Hash of "secret".
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuMzrXzV1G5Yv3YKOs6jQQYnQVrWnLYr2";
const CLIENT: &str = "abcdefghijabcdefghijabcdefghijabcdefghij";

async fn put(source: &TestDatabase, collection: &str, documents: Vec<Document>) {
    let database = source.database().await;
    database.collection::<Document>(collection).insert_many(documents).await.unwrap();
}

fn reasons(counts: &Value) -> Vec<(String, String)> {
    let skipped = counts["skipped"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    skipped.map(|skipped| (text(&skipped["id"]), text(&skipped["reason"]))).collect()
}

#[tokio::test]
async fn users_that_cannot_be_imported_are_reported_with_reason() {
    let source = mongod::replica_set().await;
    let first = ObjectId::new();
    let binary = Binary { subtype: BinarySubtype::Generic, bytes: HASH.as_bytes().to_vec() };
    let users = vec![
        doc! { "_id": first, "username": "alice", "hashpw": HASH },
        doc! { "_id": ObjectId::new(), "username": "bob", "hashpw": binary },
        doc! { "_id": ObjectId::new(), "username": "y", "hashpw": HASH.replace("2b", "2y") },
        doc! { "_id": "text", "username": "c", "hashpw": HASH },
        doc! { "_id": ObjectId::new(), "username": "alice", "hashpw": HASH },
        doc! { "_id": ObjectId::new(), "username": 7, "hashpw": HASH },
        doc! { "_id": ObjectId::new(), "hashpw": HASH },
        doc! { "_id": ObjectId::new(), "username": "d" },
        doc! { "_id": ObjectId::new(), "username": "e", "hashpw": "plain text" },
        doc! { "_id": ObjectId::new(), "username": "", "hashpw": HASH },
        doc! { "_id": ObjectId::new(), "username": "0123456789abcdef01234567", "hashpw": HASH },
        doc! { "_id": ObjectId::new(), "username": "tab\t", "hashpw": HASH },
    ];
    put(&source, "users", users).await;
    let ours = ImportTarget::embedded();
    let from = format!("{}/{}", source.uri, source.dbname);
    let planned = ours.import(&from, &["--dry-run"]);
    let report = ours.import(&from, &[]);
    assert_eq!(report["users"], planned["users"]);
    assert_eq!((&report["users"]["read"], &report["users"]["imported"]), (&12.into(), &3.into()));
    let reasons = reasons(&report["users"]);
    let expected = [
        "its _id is not an ObjectId",
        &format!("user {first} has the same username"),
        "it has no username",
        "it has no username",
        "it has no hashpw",
        "its hashpw is not a bcrypt hash",
        "its username is invalid",
        "its username is invalid",
        "its username is invalid",
    ];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for ((_, reason), expected) in reasons.iter().zip(expected) {
        assert!(reason.starts_with(expected), "{reason}");
    }
    assert!(!report.to_string().contains("$2"), "a hash is in the report");
    let shown = ours.run(&["user", "show", "alice"]);
    assert_eq!(shown["id"], first.to_hex());
    // A second import examines the skipped documents again and imports none twice.
    let again = ours.import(&from, &[]);
    assert_eq!((&again["users"]["already"], &again["users"]["imported"]), (&3.into(), &0.into()));
    assert_eq!(reasons.len(), again["users"]["skipped"].as_array().unwrap().len());
}

#[tokio::test]
async fn clients_that_cannot_be_imported_are_reported_with_reason() {
    let source = mongod::replica_set().await;
    let other = CLIENT.to_uppercase();
    let clients = vec![
        doc! { "client_id": CLIENT, "client_type": "public", "allowed_grant_types": ["password"],
        "default_scopes": [""], "default_redirect_uri": "" },
        doc! { "client_id": &other, "allowed_grant_types": ["password", "implicit"],
        "default_scopes": "read  write" },
        doc! { "client_id": CLIENT, "client_type": "public" },
        doc! { "client_id": "by hand", "client_type": "public" },
        doc! { "client_id": "sh\u{f6}rt", "client_type": "public" },
        doc! { "client_type": "public" },
        doc! { "client_id": CLIENT.replace('a', "b"), "client_type": "confidential" },
        doc! { "client_id": CLIENT.replace('a', "c"), "allowed_grant_types": ["implicit"] },
    ];
    put(&source, "clients", clients).await;
    let ours = ImportTarget::embedded();
    let from = format!("{}/{}", source.uri, source.dbname);
    let planned = ours.import(&from, &["--dry-run"]);
    let report = ours.import(&from, &[]);
    assert_eq!(report["clients"], planned["clients"]);
    assert_eq!(report["clients"]["imported"], 3, "{report}");
    let reasons = reasons(&report["clients"]);
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    let shown = ours.run(&["client", "show", CLIENT]);
    assert_eq!(shown["grants"], serde_json::json!(["password", "refresh_token"]));
    let shown = ours.run(&["client", "show", &other]);
    assert_eq!(shown["default_scopes"], serde_json::json!(["read", "write"]), "{shown}");
    let remarks = report["clients"]["remarks"].as_array().unwrap();
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(remarks[0]["reason"].as_str().unwrap().contains("implicit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_cannot_be_imported_are_reported_and_others_work() {
    let source = mongod::replica_set().await;
    let user = ObjectId::new();
    put(&source, "users", vec![doc! { "_id": user, "username": "alice", "hashpw": HASH }]).await;
    put(&source, "clients", vec![doc! { "client_id": CLIENT, "client_type": "public" }]).await;
    let now = DateTime::now().timestamp_millis();
    let (later, earlier) =
        (DateTime::from_millis(now + 3_600_000), DateTime::from_millis(now - 1000));
    let text = |kind: char, number: u32| format!("{kind}{number:029}");
    let tokens = |number: u32, expires: Bson| {
        doc! {
            "client_id": CLIENT, "user_id": user, "user": null, "token_type": "Bearer",
            "access_token": text('a', number), "refresh_token": text('r', number),
            "expires": expires, "scopes": [""],
        }
    };
    let with = |number: u32, field: &str, value: Bson| {
        let mut document = tokens(number, later.into());
        document.insert(field, value);
        document
    };
    let documents = vec![
        tokens(0, later.into()),
        tokens(1, earlier.into()),
        with(2, "refresh_token", Bson::Null),
        with(3, "scopes", "read write".into()),
        with(4, "expires", Bson::Null),
        with(5, "user_id", ObjectId::new().into()),
        with(6, "user_id", Bson::Null),
        with(7, "client_id", CLIENT.to_uppercase().into()),
        with(8, "access_token", "short".into()),
        with(9, "refresh_token", text('r', 0).into()),
        with(10, "scopes", 7.into()),
        {
            let mut over = tokens(11, earlier.into());
            over.remove("refresh_token");
            over
        },
    ];
    put(&source, "tokens", documents).await;
    let ours = ImportTarget::embedded();
    let from = format!("{}/{}", source.uri, source.dbname);
    let planned = ours.import(&from, &["--dry-run"]);
    let report = ours.import(&from, &[]);
    assert_eq!(report["tokens"], planned["tokens"]);
    let counts = &report["tokens"];
    let numbers = (&counts["read"], &counts["imported"], &counts["expired"]);
    assert_eq!(numbers, (&12.into(), &5.into(), &1.into()), "{counts}");
    assert_eq!(reasons(counts).len(), 6, "{counts}");
    assert_eq!(counts["remarks"].as_array().unwrap().len(), 1, "{counts}");
    // A document with the refresh token of another session is not imported, not even by a second
    // run.
    let again = ours.import(&from, &[]);
    let numbers = (&again["tokens"]["imported"], &again["tokens"]["already"]);
    assert_eq!(numbers, (&0.into(), &5.into()), "{again}");
    let message = report.to_string();
    for number in 0..12 {
        assert!(!message.contains(&text('a', number)) && !message.contains(&text('r', number)));
    }

    let server = ours.serve();
    let active = [(0, true, true), (1, false, true), (2, true, false), (3, true, true)];
    let inactive = [(4, false, true), (5, false, false), (6, false, false), (11, false, false)];
    for (number, access, refresh) in active.into_iter().chain(inactive) {
        assert_eq!(server.is_active(&text('a', number)).await, access, "access {number}");
        assert_eq!(server.is_active(&text('r', number)).await, refresh, "refresh {number}");
    }
    assert_eq!(server.introspect(&text('a', 3)).await["scope"], "read write");
    assert_eq!(server.introspect(&text('a', 0)).await.get("scope"), None);
    let revoked = server.revoke(CLIENT, &text('a', 2)).await;
    assert_eq!(revoked.status, 200);
    assert!(!server.is_active(&text('a', 2)).await);
    assert_eq!(server.refresh(CLIENT, &text('r', 1)).await.status, 200);
}

/// A resource server could take one for the other.
#[tokio::test]
async fn user_and_client_with_the_same_name_or_id_are_not_both_imported() {
    let source = mongod::replica_set().await;
    let id = ObjectId::new();
    put(&source, "users", vec![doc! { "_id": id, "username": "alice", "hashpw": HASH }]).await;
    let ids = ["alice".to_owned(), id.to_hex(), CLIENT.to_owned()];
    let clients = ids.map(|id| doc! { "_id": ObjectId::new(), "client_id": id });
    put(&source, "clients", clients.into()).await;
    let ours = ImportTarget::embedded();
    let from = format!("{}/{}", source.uri, source.dbname);
    let planned = ours.import(&from, &["--dry-run"]);
    let report = ours.import(&from, &[]);
    assert_eq!(report["clients"], planned["clients"]);
    assert_eq!(report["clients"]["imported"], 1);
    for (_, reason) in reasons(&report["clients"]) {
        assert_eq!(reason, "a user has its client_id as name or id");
    }
    assert_eq!(reasons(&report["clients"]).len(), 2);
    // A user who comes later is not imported beside a client.
    put(
        &source,
        "users",
        vec![doc! { "_id": ObjectId::new(), "username": CLIENT, "hashpw": HASH }],
    )
    .await;
    let report = ours.import(&from, &[]);
    let reasons = reasons(&report["users"]);
    assert_eq!(reasons.len(), 1, "{report}");
    assert_eq!(reasons[0].1, "a client has its _id or its username as client_id");
}
