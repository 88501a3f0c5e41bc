//! Operations that depend on the store, on MongoDB.

use serde_json::json;

use super::managed;
use crate::helpers::{App, mongod, send};

async fn spawn() -> App {
    managed().mongodb(&mongod::replica_set().await).spawn().await
}

#[tokio::test]
async fn users_clients_and_sessions_can_be_managed_on_mongodb() {
    let app = spawn().await;
    let new = json!({ "username": "bob", "password": "long enough" });
    let bob = app.send_json("POST", "/users", &new).await;
    assert_eq!(bob.status, 201);
    app.send_json("POST", "/users", &new).await.assert_problem(409);
    let path = format!("/users/{}", bob.text_of("id"));
    assert_eq!(app.read("/users?search=bo").await["items"], json!([bob.json()]));
    let first = app.read("/users?limit=1").await;
    assert_eq!(first["items"][0]["username"], "alice");
    let rest = app.read(&format!("/users?after={}", first["next"].as_str().unwrap())).await;
    assert_eq!((&rest["items"][0]["username"], &rest["next"]), (&json!("bob"), &json!(null)));

    let login = app.login_with_password("bob", "long enough").await;
    let session = app.read("/sessions?user=bob").await["items"][0].clone();
    assert_eq!(session["username"], "bob");
    assert_eq!(app.delete("/sessions?user=bob").await.json(), json!({ "ended": 1 }));
    assert!(!app.is_active(&login.access_token()).await);
    assert_eq!(app.read("/sessions").await["items"], json!([]));

    app.send_json("PATCH", &path, &json!({ "enabled": false })).await;
    assert_eq!(app.login_with_password("bob", "long enough").await.status, 400);
    let secret = send(app.api("POST", &format!("{}/secret", app.confidential()))).await;
    assert_eq!(secret.status, 200);
    assert_eq!(app.delete(&app.confidential()).await.status, 204);
    app.get(&app.confidential()).await.assert_problem(404);
}

#[tokio::test]
async fn delete_with_stale_etag_is_412() {
    let app = spawn().await;
    for path in [app.alice(), app.public()] {
        let first = app.get(&path).await.etag();
        let second = app.send_json("PATCH", &path, &json!({})).await.etag();
        let delete = |tag: String| send(app.api("DELETE", &path).header("if-match", tag));
        delete(first).await.assert_problem(412);
        assert_eq!(delete(second).await.status, 204);
        app.get(&path).await.assert_problem(404);
    }
}

#[tokio::test]
async fn concurrent_updates_are_not_lost() {
    super::versions::assert_no_update_is_lost(&spawn().await).await;
}
