//! Errors that stop an import, and their messages.

use mongodb::bson::{Document, doc, oid::ObjectId};

use sentinel::import::flask_sentinel::{Import, ImportError};

use super::target::ImportTarget;
use crate::helpers::{START, free_port, mongod};

fn assert_fails(ours: &ImportTarget, from: &str, code: i32, expected: &str) {
    let output = ours.command(&["import", "flask-sentinel", "--from", from]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(expected) && !text.contains("secret"), "{text}");
    // An import that did not begin is not audited.
    assert_eq!(text.contains("\"event\":\"imported\""), code == 69, "{text}");
}

#[tokio::test]
async fn unusable_source_is_refused_without_printing_password() {
    let ours = ImportTarget::embedded();
    assert_fails(&ours, "mysql://user:secret@host/oauth", 64, "connection string");
    assert_fails(&ours, "mongodb://user:secret@:/oauth", 64, "connection string");
    let file = "mongodb://user:secret@127.0.0.1:1/oauth?tls=true&tlsCAFile=/dev/zero";
    assert_fails(&ours, file, 78, "tlsCAFile in --from: cannot use /dev/zero: it is larger");
    let nobody = format!(
        "mongodb://user:secret@127.0.0.1:{}/oauth?serverSelectionTimeoutMS=500",
        free_port()
    );
    assert_fails(&ours, &nobody, 69, "cannot read the source");
    let empty = mongod::replica_set().await;
    let empty = format!("{}/{}", empty.uri, empty.dbname);
    assert_fails(&ours, &empty, 65, "has none of the collections");
}

/// Returns the audit event of an import.
fn event(output: &std::process::Output) -> serde_json::Value {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let line = text.lines().find(|line| line.contains("\"event\":\"imported\""));
    serde_json::from_str(line.unwrap_or_else(|| panic!("{text}"))).unwrap()
}

#[tokio::test]
async fn interrupted_import_audits_number_of_imported_records() {
    let source = mongod::replica_set().await;
    let from = format!("{}/{}", source.uri, source.dbname);
    let hash = "$2b$04$abcdefghijklmnopqrstuuMzrXzV1G5Yv3YKOs6jQQYnQVrWnLYr2";
    let user = |name: &str| doc! { "_id": ObjectId::new(), "username": name, "hashpw": hash };
    let users = source.database().await.collection::<Document>("users");
    users.insert_many([user("alice"), user("bob"), user("carol")]).await.unwrap();
    let ours = ImportTarget::embedded();
    let import = ["import", "flask-sentinel", "--from", &*from];
    // Creates the store.
    ours.run(&["client", "add"]);
    ours.execute_sql(
        "CREATE TRIGGER no_carol BEFORE INSERT ON users WHEN NEW.username = 'carol'
        BEGIN SELECT abs(-9223372036854775808); END",
    );
    let output = ours.command(&import);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let event = event(&output);
    assert_eq!([&event["outcome"], &event["from"]], ["unconfirmed", "flask-sentinel"], "{event}");
    assert_eq!([&event["users"], &event["clients"], &event["sessions"]], [2, 0, 0], "{event}");

    ours.execute_sql("DROP TRIGGER no_carol");
    let output = ours.command(&import);
    let event = self::event(&output);
    assert_eq!((&event["outcome"], &event["users"]), (&serde_json::Value::Null, &1.into()));
}

#[tokio::test]
async fn stopped_import_ends_before_next_batch_and_is_no_success() {
    let source = mongod::replica_set().await;
    let users = source.database().await.collection::<Document>("users");
    users.insert_one(doc! { "_id": ObjectId::new(), "username": "alice" }).await.unwrap();
    let lifetimes = sentinel::settings::Settings::builtin().unwrap().oauth.lifetimes;
    let mut import =
        Import::new(None, lifetimes, START, true).stopped_by(std::sync::Arc::new(true.into()));
    let done = import.import_all(&format!("{}/{}", source.uri, source.dbname)).await;
    assert!(matches!(done, Err(ImportError::Stopped)), "{done:?}");
    assert_eq!(import.into_report().users.read, 0);
}

#[tokio::test]
async fn import_warns_if_no_tokens_will_be_published() {
    let source = mongod::replica_set().await;
    let users = source.database().await.collection::<Document>("users");
    users.insert_one(doc! { "_id": ObjectId::new() }).await.unwrap();
    let from = format!("{}/{}", source.uri, source.dbname);
    let warning = "will reject every token of Sentinel";
    for (settings, says) in [
        (&[][..], Some("redis.url is not set: ")),
        (
            &["redis.url=redis://127.0.0.1:1", "redis.publish_tokens=false"][..],
            Some("redis.publish_tokens is false: "),
        ),
        (&["redis.url=redis://127.0.0.1:1"][..], None),
    ] {
        let mut ours = ImportTarget::embedded();
        for setting in settings {
            ours = ours.with((*setting).to_owned());
        }
        let output = ours.command(&["import", "flask-sentinel", "--from", &from, "--dry-run"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        assert_eq!(text.contains(warning), says.is_some(), "{text}");
        assert!(says.is_none_or(|says| text.contains(says)), "{text}");
    }
}
