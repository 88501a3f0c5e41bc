//! Introspection and verify are read-only: neither the database nor its write-ahead log changes.

use std::path::Path;
use std::time::SystemTime;

use rusqlite::Connection;

use crate::helpers::{App, TestResponse, all, send, spawn_app};

/// Reads the content and modification time of each database file.
///
/// The third file of SQLite, `-shm`, is left out: it is shared memory, in which readers keep their
/// marks, and holds no durable data.
fn on_disk(app: &App) -> Vec<(Vec<u8>, SystemTime)> {
    ["sentinel.db", "sentinel.db-wal"]
        .map(|name| {
            let path = app.folder.path().join(name);
            (std::fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap())
        })
        .into()
}

/// Another connection to the same file, on which `PRAGMA data_version` changes with every commit of
/// any other connection.
struct CommitObserver(Connection);

impl CommitObserver {
    fn of(path: &Path) -> Self {
        Self(Connection::open(path).unwrap())
    }

    fn commits(&self) -> i64 {
        self.0.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap()
    }
}

/// Introspects and verifies a token in every way, as every kind of caller.
async fn ask(app: &App, token: &str) -> Vec<TestResponse> {
    let wrong = app.request("POST", "/oauth/introspect").form(&[("token", token)]);
    let wrong = wrong.basic_auth(app.backend.id.as_str(), Some("wrong"));
    let public = [("client_id", app.client.id.as_str()), ("token", token)];
    vec![
        app.introspect(token).await,
        send(wrong).await,
        app.post("/oauth/introspect", &public).await,
        app.post("/oauth/introspect", &[("token", token)]).await,
        app.verify(token, "").await,
        app.verify(token, "?scope=read").await,
        app.verify(token, "?scope=admin").await,
    ]
}

#[tokio::test]
async fn introspection_and_verify_write_nothing() {
    let app = spawn_app().await;
    let expired = app.login_with(&[("scope", "read")]).await;
    app.advance(3600);
    let (alive, ended, rotated) = (app.login().await, app.login().await, app.login().await);
    app.revoke(&ended.refresh_token()).await;
    app.refresh(&rotated.refresh_token()).await;
    let own = app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;
    let tokens = [
        alive.access_token(),
        alive.refresh_token(),
        expired.access_token(),
        expired.refresh_token(),
        ended.access_token(),
        ended.refresh_token(),
        rotated.access_token(),
        // Presenting a used refresh token is a replay only at the token endpoint.
        rotated.refresh_token(),
        own.access_token(),
        "x".to_owned(),
    ];
    app.advance(121);

    let witness = CommitObserver::of(&app.folder.path().join("sentinel.db"));
    let before = (witness.commits(), on_disk(&app));
    for _ in 0..20 {
        for token in &tokens {
            let answers = ask(&app, token).await;
            assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
        }
    }
    let many = (0..200).map(|turn| app.introspect(&tokens[turn % tokens.len()]));
    assert!(all(many).await.iter().all(|answer| answer.status == 200));
    assert_eq!(witness.commits(), before.0);
    assert!(on_disk(&app) == before.1, "something was written");

    // A login writes, and these checks detect it.
    for _ in 0..2 {
        let (commits, files) = (witness.commits(), on_disk(&app));
        app.login().await;
        assert_ne!(witness.commits(), commits);
        assert!(on_disk(&app) != files, "a login is not seen");
    }
    let (commits, files) = (witness.commits(), on_disk(&app));
    assert_eq!(app.refresh(&alive.refresh_token()).await.status, 200);
    assert_ne!(witness.commits(), commits);
    assert!(on_disk(&app) != files, "a refresh is not seen");
}
