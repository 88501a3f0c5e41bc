//! MongoDB commands that fail in every way MongoDB can report, under load.

use std::time::Duration;

use mongodb::bson::{Document, doc};

use super::load::Load;
use crate::helpers::Servers;
use crate::helpers::mongod::{self, Mongod, TestDatabase};

/// MongoDB commands that Sentinel sends.
const COMMANDS: [&str; 6] = ["find", "insert", "update", "delete", "findAndModify", "ping"];

/// Failures that replace the reply to a command.
fn failure_modes() -> Vec<(&'static str, Document)> {
    let code = |code: i32| doc! { "errorCode": code };
    let label = |code: i32| doc! { "errorCode": code, "errorLabels": ["RetryableWriteError"] };
    let concern =
        |code: i32| doc! { "writeConcernError": { "code": code, "errmsg": "message so" } };
    vec![
        ("NotWritablePrimary", code(10107)),
        ("PrimarySteppedDown, which may be retried", label(189)),
        ("InterruptedAtShutdown", code(11600)),
        ("HostUnreachable", code(6)),
        ("NetworkTimeout", code(89)),
        ("ExceededTimeLimit", code(262)),
        ("Unauthorized", code(13)),
        ("written, and then WriteConcernTimeout", concern(64)),
        ("written, and then PrimarySteppedDown", concern(189)),
        ("the connection is closed", doc! { "closeConnection": true }),
        ("an answer after 5 s", doc! { "blockConnection": true, "blockTimeMS": 5000 }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn mongodb_command_failures_yield_correct_responses_or_503() {
    let mongod = Mongod::start(&["--replSet", "rs0"]);
    mongod::prepare(&mongod.uri).await;
    let servers = Servers::start(2, &TestDatabase::on(&mongod.uri).overrides()).await;
    let load = Load::start(&servers.peers).await;
    let admin = mongod.admin().await;
    let mut unavailable = 0;
    for (name, how) in failure_modes() {
        let mut data = doc! { "failCommands": COMMANDS.to_vec(), "appName": "sentinel" };
        data.extend(how);
        let failing = async {
            // Only some commands fail, so other calls proceed with the data these left behind.
            let mode = doc! { "activationProbability": 0.3 };
            let on = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
            admin.run_command(on).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
            admin.run_command(off).await.unwrap();
        };
        let row = load.during("MongoDB", name, failing).await;
        row.print();
        unavailable += row.unavailable;
    }
    load.finish().await;
    assert!(unavailable > 0, "no command has failed");
}
