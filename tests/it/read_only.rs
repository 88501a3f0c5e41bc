//! Introspection and verify are read-only: no row of the database changes.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::helpers::{App, TestResponse, all, send, spawn_app};

/// Reads all rows of all tables. The probes of readiness, which run beside the test, rewrite only
/// the version of the schema.
fn rows(app: &App) -> Vec<(String, Vec<Value>)> {
    let database = Connection::open(app.folder.path().join("sentinel.db")).unwrap();
    let mut tables =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!tables.is_empty());
    let mut found = Vec::new();
    for table in tables {
        let mut select = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = select.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        for row in select.query_map([], row).unwrap() {
            found.push((table.clone(), row.unwrap()));
        }
    }
    found
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

    let before = rows(&app);
    for _ in 0..20 {
        for token in &tokens {
            let answers = ask(&app, token).await;
            assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
        }
    }
    let many = (0..200).map(|turn| app.introspect(&tokens[turn % tokens.len()]));
    assert!(all(many).await.iter().all(|answer| answer.status == 200));
    assert_eq!(rows(&app), before);

    // A login writes, and this check detects it.
    app.login().await;
    let after_login = rows(&app);
    assert_ne!(after_login, before);
    assert_eq!(app.refresh(&alive.refresh_token()).await.status, 200);
    assert_ne!(rows(&app), after_login);
}
