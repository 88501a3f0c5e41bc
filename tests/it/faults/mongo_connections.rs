//! TLS, authentication, connection pools and timeouts of MongoDB, with real servers.

use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::doc;

use crate::helpers::authority::Authority;
use crate::helpers::mongod::{self, Mongod, TestDatabase};
use crate::helpers::{App, AppBuilder, Servers, sentinel};

/// Starts a server that requires TLS and authentication, with a user for `target`'s database.
async fn start_secured(authority: &Authority) -> (Mongod, TestDatabase, Vec<(String, String)>) {
    let (server, ca) = (authority.path("server-both.pem"), authority.path("ca.pem"));
    let mongod = Mongod::start(&[
        "--auth",
        "--tlsMode",
        "requireTLS",
        "--tlsCertificateKeyFile",
        &server,
        "--tlsCAFile",
        &ca,
        "--tlsAllowConnectionsWithoutCertificates",
    ]);
    let target = TestDatabase::on(&format!("{}/?tls=true&tlsCAFile={ca}", mongod.uri));
    // Localhost exception: while there are no users, a local connection may create the first one.
    let admin = Client::with_uri_str(&target.uri).await.unwrap().database("admin");
    let root = doc! { "createUser": "root", "pwd": "root", "roles": ["root"] };
    admin.run_command(root).await.unwrap();
    let as_root = target.uri.replace("://", "://root:root@");
    let admin = Client::with_uri_str(as_root).await.unwrap().database("admin");
    let roles = vec![doc! { "role": "readWrite", "db": &target.dbname }];
    let user = doc! { "createUser": "sentinel", "pwd": "p@ss/word", "roles": roles };
    admin.run_command(user).await.unwrap();
    let mut settings = target.overrides();
    for (key, value) in
        [("username", "sentinel"), ("password", "p@ss/word"), ("auth_source", "admin")]
    {
        settings.push((format!("mongo.{key}"), value.to_owned()));
    }
    (mongod, target, settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_with_tls_and_read_write_role_is_sufficient() {
    let authority = Authority::new();
    let (_mongod, _, settings) = start_secured(&authority).await;
    let servers = Servers::start(1, &settings).await;
    let peer = &servers.peers[0];
    let login = peer.login().await;
    let next = peer.refresh(&login.refresh_token()).await;
    assert!(peer.is_active(&next.access_token()).await);
    assert_eq!(peer.ready().await.status, 200);
    servers.run(&["user", "disable", "alice"]).await;
    assert!(!peer.is_active(&next.access_token()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn startup_fails_for_wrong_mongodb_password_or_untrusted_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (_mongod, target, settings) = start_secured(&authority).await;
    let folder = tempfile::tempdir().unwrap();
    let refused = |more: &[(&str, &str)]| {
        let mut serve = sentinel(folder.path());
        serve.args(["serve", "--bind", "127.0.0.1:0"]);
        let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        for (key, value) in settings.iter().cloned().chain(more) {
            serve.arg("--set").arg(format!("{key}={value}"));
        }
        let output = serve.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let message = refused(&[("mongo.password", "wrong-password")]);
    assert!(
        message.contains("cannot reach MongoDB at 127.0.0.1")
            && !message.contains("wrong-password"),
        "{message}"
    );
    let strange = target.uri.replace(&authority.path("ca.pem"), &other.path("ca.pem"));
    let message = refused(&[("mongo.uri", &strange)]);
    assert!(message.contains("cannot reach MongoDB at 127.0.0.1"), "{message}");
    let plain = target.uri.split("/?").next().unwrap();
    let message = refused(&[("mongo.uri", plain)]);
    assert!(message.contains("cannot reach MongoDB at 127.0.0.1"), "{message}");
}

async fn own_server(settings: &[(&str, &str)]) -> (Mongod, App) {
    let mongod = Mongod::start(&["--replSet", "rs0"]);
    mongod::prepare(&mongod.uri).await;
    let mut builder = AppBuilder::default().mongodb(&TestDatabase::on(&mongod.uri));
    for (key, value) in settings {
        builder = builder.set(key, value);
    }
    (mongod, builder.spawn().await)
}

/// Delays reads beyond the timeouts.
async fn delay_reads(mongod: &Mongod, mode: &str) {
    let data = doc! { "failCommands": ["find"], "appName": "sentinel", "blockConnection": true,
    "blockTimeMS": 8_000 };
    let command = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    mongod.admin().await.run_command(command).await.unwrap();
}

/// Number of connections of Sentinel that are running a command.
async fn active_reads(mongod: &Mongod) -> usize {
    let operations =
        doc! { "currentOp": 1, "appName": "sentinel", "command.find": { "$exists": true } };
    let message = mongod.admin().await.run_command(operations).await.unwrap();
    message.get_array("inprog").unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn max_pool_size_limits_concurrent_mongodb_connections() {
    for (size, most) in [("3", 3), ("20", 20)] {
        let (mongod, app) = own_server(&[("mongo.max_pool_size", size)]).await;
        let token = app.login().await.access_token();
        delay_reads(&mongod, "alwaysOn").await;
        let calls: Vec<_> = (0..30).map(|_| tokio::spawn(app.verify(&token, ""))).collect();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut seen = 0;
        while seen < most {
            assert!(Instant::now() < deadline, "{seen} connections of {most}");
            let now = active_reads(&mongod).await;
            assert!(now <= most, "{now} connections");
            seen = seen.max(now);
            if calls.iter().all(tokio::task::JoinHandle::is_finished) {
                break;
            }
        }
        assert_eq!(seen, most);
        for call in calls {
            assert_eq!(call.await.unwrap().status, 503);
        }
        delay_reads(&mongod, "off").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_calls_time_out_as_configured() {
    let limits = [
        ("mongo.socket_timeout_ms", "300"),
        ("mongo.server_selection_timeout_ms", "200"),
        ("mongo.connect_timeout_ms", "200"),
    ];
    let (mut mongod, app) = own_server(&limits).await;
    let token = app.login().await.access_token();
    delay_reads(&mongod, "alwaysOn").await;
    let started = Instant::now();
    assert_eq!(app.verify(&token, "").await.status, 503);
    // Without these settings the limits are 4 s and 3 s.
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    mongod.kill();
    for _ in 0..3 {
        let started = Instant::now();
        assert_eq!(app.verify(&token, "").await.status, 503);
        assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
    }
}

/// A standalone server has neither a majority to wait for nor another member to fail over to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_recovers_after_standalone_mongodb_freeze_and_kill() {
    let mut mongod = Mongod::start(&[]);
    let servers = Servers::start(2, &TestDatabase::on(&mongod.uri).overrides()).await;
    let load = super::load::Load::start(&servers.peers).await;
    let frozen = async {
        mongod.suspend();
        tokio::time::sleep(Duration::from_secs(1)).await;
        mongod.resume();
    };
    load.during("MongoDB, a single server", "frozen", frozen).await.print();
    let killed = async {
        mongod.kill();
        let peer = &servers.peers[0];
        let deadline = Instant::now() + Duration::from_secs(30);
        while peer.ready().await.status != 503 {
            assert!(Instant::now() < deadline, "it is ready without MongoDB");
        }
        mongod.restart(&[]);
    };
    let row = load.during("MongoDB, a single server", "killed and started again", killed).await;
    row.print();
    assert!(row.unready > 0);
    load.finish().await;
}
