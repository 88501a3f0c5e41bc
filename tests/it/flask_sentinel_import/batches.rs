//! Many documents, which are imported concurrently.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc, oid::ObjectId};

use super::target::ImportTarget;
use crate::helpers::mongod::{self, Mongod, TestDatabase};

const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuMzrXzV1G5Yv3YKOs6jQQYnQVrWnLYr2";

/// Fills a source with users, and returns its connection string and their ids.
async fn source(
    source: &TestDatabase,
    names: impl Iterator<Item = String>,
) -> (String, Vec<String>) {
    let users: Vec<_> = names
        .map(|name| doc! { "_id": ObjectId::new(), "username": name, "hashpw": HASH })
        .collect();
    let collection = source.database().await.collection::<Document>("users");
    collection.insert_many(&users).await.unwrap();
    let ids = users.iter().map(|user| user.get_object_id("_id").unwrap().to_hex()).collect();
    (format!("{}/{}", source.uri, source.dbname), ids)
}

/// Among the documents that are imported at a time, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_of_many_users_with_the_same_name_is_imported() {
    let target = mongod::replica_set().await;
    for ours in [ImportTarget::embedded(), ImportTarget::mongodb(&target)] {
        let names = (0..800).map(|number| format!("user-{:03}", number / 2));
        let (from, ids) = source(&mongod::replica_set().await, names).await;
        for run in ["first", "second"] {
            let report = ours.import(&from, &[]);
            let skipped = report["users"]["skipped"].as_array().unwrap();
            assert_eq!(skipped.len(), 400, "{run}");
            for (skipped, pair) in skipped.iter().zip(ids.chunks(2)) {
                assert_eq!(skipped["id"], pair[1]);
                let reason = format!("user {} has the same username", pair[0]);
                assert_eq!(skipped["reason"], reason);
            }
            let counts = [&report["users"]["imported"], &report["users"]["already"]];
            assert_eq!(counts, if run == "first" { [400, 0] } else { [0, 400] }, "{run}");
        }
        let users = ours.run(&["user", "list"]);
        let users = users.as_array().unwrap();
        assert_eq!(users.len(), 400);
        for (user, pair) in users.iter().zip(ids.chunks(2)) {
            assert_eq!(user["id"], pair[0]);
        }
    }
}

/// Returns the number of look-ups and writes that a server has run.
async fn commands(mongod: &Mongod) -> i64 {
    let status = mongod.admin().await.run_command(doc! { "serverStatus": 1 }).await.unwrap();
    let commands = status.get_document("metrics").unwrap().get_document("commands").unwrap();
    let total = |name| commands.get_document(name).unwrap().get_i64("total").unwrap();
    ["find", "insert", "update"].into_iter().map(total).sum()
}

/// One after another, the users would take more than 10 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_share_round_trips_to_a_slow_mongodb() {
    let mongod = Mongod::start(&["--replSet", "rs0"]);
    mongod::prepare(&mongod.uri).await;
    let ours = ImportTarget::mongodb(&TestDatabase::on(&mongod.uri));
    let names = (0..500).map(|number| format!("user-{number:03}"));
    let (from, _) = source(&mongod::replica_set().await, names).await;
    let slow = doc! { "failCommands": ["insert", "update"], "appName": "sentinel",
    "blockConnection": true, "blockTimeMS": 20 };
    let slow = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": slow };
    mongod.admin().await.run_command(slow).await.unwrap();
    let (started, before) = (Instant::now(), commands(&mongod).await);
    assert_eq!(ours.import(&from, &[])["users"]["imported"], 500);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // Each name is looked up. All else is done for many users at once.
    let commands = commands(&mongod).await - before;
    assert!((500..600).contains(&commands), "{commands}");
}
