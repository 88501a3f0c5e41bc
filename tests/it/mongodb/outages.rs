//! MongoDB unreachable, slow, or without a majority.

use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use sentinel::settings::{Settings, Sources};
use sentinel::store::mongo::MongoStore;
use sentinel::store::{StoreError, Stores};

use crate::helpers::mongod::{self, Mongod, TestDatabase};
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, Process, TestResponse, send};
use crate::store_contract::samples::{
    NextVersion, session, stored_client, stored_session, stored_user,
};

const SET: [&str; 2] = ["--replSet", "rs0"];

async fn own_server() -> (Mongod, TestDatabase) {
    let mongod = Mongod::start(&SET);
    mongod::prepare(&mongod.uri).await;
    let target = TestDatabase::on(&mongod.uri);
    (mongod, target)
}

async fn admin(uri: &str) -> mongodb::Database {
    let uri = format!("{uri}/?directConnection=true");
    Client::with_uri_str(uri).await.unwrap().database("admin")
}

/// Opens the store with a socket timeout of one second.
async fn impatient(target: &TestDatabase) -> Stores {
    let mut overrides = target.overrides();
    overrides.push(("mongo.socket_timeout_ms".to_owned(), "1000".to_owned()));
    let settings = Settings::load(&Sources { overrides, ..Sources::default() }).unwrap();
    MongoStore::open(&settings.mongo).await.unwrap().into_stores()
}

async fn assert_unavailable(what: &str, call: impl Future<Output = TestResponse>) {
    let started = Instant::now();
    let answer = call.await;
    answer.assert_error(503, "temporarily_unavailable");
    assert!(answer.headers.contains_key("retry-after"), "{what}: {answer:?}");
    assert!(started.elapsed() < Duration::from_secs(6), "{what}: {:?}", started.elapsed());
}

async fn assert_all_unavailable(app: &App, login: &TestResponse) {
    let (access, refresh) = (login.access_token(), login.refresh_token());
    let ((), (), (), (), verified, alive) = tokio::join!(
        assert_unavailable("introspection", app.introspect(&access)),
        assert_unavailable("login", app.login_with(&[])),
        assert_unavailable("refresh", app.refresh(&refresh)),
        assert_unavailable("revocation", app.revoke(&access)),
        app.verify(&access, ""),
        send(app.request("GET", "/healthz")),
    );
    assert_eq!((verified.status, alive.status), (503, 200));
    // The calls took longer than the two seconds for which a write is recent.
    assert_eq!(send(app.request("GET", "/readyz")).await.status, 503);
}

async fn wait_until_ready(app: &App) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while send(app.request("GET", "/readyz")).await.status != 200 {
        assert!(Instant::now() < deadline, "the server does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_mongodb_are_503_until_it_returns() {
    let (mut mongod, target) = own_server().await;
    let app = AppBuilder::default().mongodb(&target).spawn().await;
    let login = app.login().await;
    mongod.kill();
    assert_all_unavailable(&app, &login).await;
    mongod.restart(&SET);
    wait_until_ready(&app).await;
    // Every answered token is stored, and no refresh token was used up.
    assert!(app.is_active(&login.access_token()).await);
    assert_eq!(app.refresh(&login.refresh_token()).await.status, 200);
    app.login().await;
}

/// The outage is logged once and with the address, not at every poll for pending invalidations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_outage_and_recovery_are_logged_once() {
    let ((mut mongod, target), redis) = (own_server().await, Redis::start());
    let folder = tempfile::tempdir().unwrap();
    let mut settings = target.overrides();
    settings.push(("redis.url".to_owned(), redis.url.clone()));
    // A short timeout makes repeated failures frequent.
    settings.push(("mongo.server_selection_timeout_ms".to_owned(), "500".to_owned()));
    let settings: Vec<_> =
        settings.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let arguments: Vec<&str> = settings.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let process = Process::serve(folder.path(), &arguments);
    mongod.kill();
    let gone = format!("MongoDB at {} fails; requests get 503", mongod.host());
    let mut lines = process.lines_until(&gone);
    tokio::time::sleep(Duration::from_secs(7)).await;
    mongod.restart(&SET);
    lines.extend(process.lines_until(&format!("MongoDB at {} works again", mongod.host())));
    assert!(!lines.iter().any(|line| line.contains(&gone)), "{lines:?}");
    let pending = format!("invalidations are pending because MongoDB at {} fails", mongod.host());
    assert_eq!(lines.iter().filter(|line| line.contains(&pending)).count(), 1, "{lines:?}");
    if !lines.iter().any(|line| line.contains("Redis invalidations are delivered again")) {
        process.wait_for("Redis invalidations are delivered again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_token_stays_active_without_mongodb() {
    let ((mut mongod, target), redis) = (own_server().await, Redis::start());
    let app = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    let (cached, other) = (app.login().await, app.login().await);
    for _ in 0..2 {
        assert_eq!(app.verify(&cached.access_token(), "").await.status, 200);
    }
    mongod.kill();
    assert_eq!(app.verify(&cached.access_token(), "").await.status, 200);
    assert_eq!(app.verify(&other.access_token(), "").await.status, 503);
    assert_eq!(send(app.request("GET", "/readyz")).await.status, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_hanging_mongodb_are_503_in_time() {
    let (mongod, target) = own_server().await;
    let app = AppBuilder::default().mongodb(&target).spawn().await;
    let login = app.login().await;
    let admin = admin(&mongod.uri).await;
    let commands = ["find", "update", "insert", "delete", "ping"];
    let slow = doc! { "failCommands": commands.to_vec(), "appName": "sentinel",
    "blockConnection": true, "blockTimeMS": 6_000 };
    fail(&admin, "failCommand", "alwaysOn", slow).await;
    assert_all_unavailable(&app, &login).await;
    admin.run_command(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await.unwrap();
    wait_until_ready(&app).await;
    assert!(app.is_active(&login.access_token()).await);
}

async fn fail(admin: &mongodb::Database, point: &str, mode: &str, data: Document) {
    let command = doc! { "configureFailPoint": point, "mode": mode, "data": data };
    admin.run_command(command).await.unwrap();
}

#[tokio::test]
async fn session_of_login_that_cannot_be_confirmed_is_removed() {
    let (mongod, target) = own_server().await;
    let stores = MongoStore::open(&target.settings().mongo).await.unwrap().into_stores();
    let alice = stored_user(&stores, "alice").await;
    let app = stored_client(&stores).await;
    // The first read is of the user, before the session is inserted; the following reads fail.
    let admin = admin(&mongod.uri).await;
    let broken = doc! { "failCommands": ["find"], "appName": "sentinel", "errorCode": 2 };
    let skip = doc! { "configureFailPoint": "failCommand", "mode": { "skip": 1 }, "data": broken };
    admin.run_command(skip).await.unwrap();
    let started = session(Some(&alice), &app);
    let answer = stores.sessions.insert(&started).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    admin.run_command(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while stores.sessions.find(started.id).await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "the session is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A primary whose only other member has stopped replicating accepts writes that may be rolled
/// back. They can be read, but must not be reported as durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_without_majority_is_not_confirmed_as_durable() {
    let primary = Mongod::start(&SET);
    let secondary = Mongod::start(&SET);
    let host = |mongod: &Mongod| format!("127.0.0.1:{}", mongod.port);
    let set = doc! { "_id": "rs0", "members": [
        { "_id": 0, "host": host(&primary), "priority": 2 },
        { "_id": 1, "host": host(&secondary), "priority": 0 },
    ] };
    let initiate = doc! { "replSetInitiate": set };
    admin(&primary.uri).await.run_command(initiate).await.unwrap();
    mongod::prepare(&primary.uri).await;
    let target = TestDatabase::on(&format!("{}/?replicaSet=rs0", primary.uri));
    let (stores, other) = (impatient(&target).await, impatient(&target).await);
    let app = stored_client(&stores).await;
    let first = stored_session(&stores, None, &app).await;

    let follower = admin(&secondary.uri).await;
    fail(&follower, "stopReplProducer", "alwaysOn", doc! {}).await;
    let second = first.next();
    let written = stores.sessions.replace(&second, false).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    assert_eq!(other.sessions.find(first.id).await.unwrap(), Some(second.clone()));
    let sure = other.sessions.confirm_durable(second.id, second.version).await;
    assert!(matches!(sure, Err(StoreError::Unavailable(_))), "{sure:?}");
    let ended = other.sessions.delete(session(None, &app).id).await;
    assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");

    follower
        .run_command(doc! { "configureFailPoint": "stopReplProducer", "mode": "off" })
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !other
        .sessions
        .confirm_durable(second.id, second.version)
        .await
        .is_ok_and(|lasts| lasts.value)
    {
        assert!(Instant::now() < deadline, "the write is never sure");
    }
}

/// Refreshes continue while the primary is killed and another member takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_primary_loses_no_answered_token() {
    let mut servers: Vec<Mongod> = (0..3).map(|_| Mongod::start(&SET)).collect();
    let member = |(id, mongod): (usize, &Mongod)| {
        doc! { "_id": i32::try_from(id).unwrap(), "host": format!("127.0.0.1:{}", mongod.port) }
    };
    let members: Vec<Document> = servers.iter().enumerate().map(member).collect();
    let set = doc! { "_id": "rs0", "members": members, "settings": {
        "electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200,
    } };
    admin(&servers[0].uri).await.run_command(doc! { "replSetInitiate": set }).await.unwrap();
    let hosts: Vec<String> = servers.iter().map(|m| format!("127.0.0.1:{}", m.port)).collect();
    let target = TestDatabase::on(&format!("mongodb://{}/?replicaSet=rs0", hosts.join(",")));
    // Waits until the new set has a primary and its members have replicated from it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let app = AppBuilder::default().mongodb(&target).spawn().await;
    let other = app.login().await;
    assert_eq!(app.revoke(&other.access_token()).await.status, 200);

    let hello: Document = Client::with_uri_str(&target.uri)
        .await
        .unwrap()
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .await
        .unwrap();
    let primary = hello.get_str("me").unwrap();
    let primary = hosts.iter().position(|host| host == primary).unwrap();

    let mut current = app.login().await;
    let mut failures = 0;
    for round in 0..60 {
        if round == 10 {
            servers[primary].kill();
        }
        // A client without an answer retries with the token that it has.
        current = loop {
            let answer = app.refresh(&current.refresh_token()).await;
            if answer.status == 200 {
                break answer;
            }
            answer.assert_error(503, "temporarily_unavailable");
            failures += 1;
            assert!(failures < 200, "the server does not recover");
        };
        let seen = app.introspect(&current.access_token()).await;
        assert!(seen.status == 503 || seen.json()["active"] == true, "{seen:?}");
    }
    assert!(app.is_active(&current.access_token()).await);
    assert!(!app.is_active(&other.access_token()).await, "a revocation was lost");
    println!("{failures} refreshes were answered 503");
}
