//! Copied records work as in the source.

use serde_json::json;

use super::CopyTarget;
use crate::helpers::{App, AppBuilder, PASSWORD, TestResponse, mongod, spawn_app};

fn refresh_token(answer: &TestResponse) -> String {
    answer.json()["refresh_token"].as_str().unwrap().to_owned()
}

fn access_token(answer: &TestResponse) -> String {
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// Requests to the server on the copy, made as the clients of `app`.
struct CopiedServer<'a> {
    app: &'a App,
    server: App,
}

impl CopiedServer<'_> {
    async fn refresh(&self, token: &str) -> TestResponse {
        let id = self.app.client.id.as_str();
        let form = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", token)];
        self.server.post("/oauth/token", &form).await
    }

    async fn login(&self) -> TestResponse {
        let form = [
            ("grant_type", "password"),
            ("client_id", self.app.client.id.as_str()),
            ("username", "alice"),
            ("password", PASSWORD),
        ];
        self.server.post("/oauth/token", &form).await
    }

    async fn introspect(&self, token: &str) -> serde_json::Value {
        let url = format!("{}/oauth/introspect", self.server.url);
        let request = self.server.http.post(url).form(&[("token", token)]);
        let app = self.app;
        let request = request.basic_auth(app.backend.id.as_str(), Some(&app.backend_secret));
        let answer = crate::helpers::send(request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

/// Logs in, copies the store, and asserts that all tokens keep working on the copy.
async fn assert_tokens_survive_copy(app: App, to: CopyTarget) {
    let unused = app.login_with(&[("scope", "read")]).await;
    let oldest = app.login().await;
    let before = app.refresh(&refresh_token(&oldest)).await;
    let lost = app.refresh(&refresh_token(&before)).await;
    let revoked = app.login().await;
    app.revoke(&access_token(&revoked)).await;
    let introspected = app.introspect(&access_token(&unused)).await.json();

    let report = to.copy_of(&app, &[]).await;
    let none = json!({ "read": 0, "written": 0, "removed": 0 });
    assert_eq!(report["users"], json!({ "read": 1, "written": 1, "removed": 0 }));
    assert_eq!(report["clients"], json!({ "read": 2, "written": 2, "removed": 0 }));
    assert_eq!(report["sessions"], json!({ "read": 3, "written": 3, "removed": 0 }));
    assert_eq!((&report["aliases"], &report["imported"]), (&none, &none));

    let moved = CopiedServer { server: to.server().spawn().await, app: &app };
    assert_eq!(moved.introspect(&access_token(&unused)).await, introspected);
    assert_eq!(introspected["sub"], app.user.id.to_string());
    assert_eq!(moved.introspect(&access_token(&revoked)).await, json!({ "active": false }));
    assert_eq!(moved.refresh(&refresh_token(&revoked)).await.status, 200);
    // The response to the last refresh was lost: a retry within the grace period returns it again.
    let again = moved.refresh(&refresh_token(&before)).await;
    assert_eq!(refresh_token(&again), refresh_token(&lost));
    assert_eq!(access_token(&again), access_token(&lost));
    // Reuse of an older token is detected and ends the session.
    let next = moved.refresh(&refresh_token(&lost)).await;
    assert!(moved.introspect(&access_token(&next)).await["active"].as_bool().unwrap());
    assert_eq!(moved.refresh(&refresh_token(&oldest)).await.status, 400);
    assert_eq!(moved.introspect(&access_token(&next)).await, json!({ "active": false }));
    // The password works, and so does the user's generation, which disabling increments.
    assert_eq!(moved.login().await.status, 200);
    moved.server.disable_user().await;
    assert_eq!(moved.introspect(&access_token(&unused)).await, json!({ "active": false }));
    assert_eq!(moved.login().await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_stay_valid_after_copy_from_embedded_to_mongodb() {
    assert_tokens_survive_copy(spawn_app().await, CopyTarget::database().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_stay_valid_after_copy_from_mongodb_to_embedded() {
    let app = AppBuilder::default().mongodb(&mongod::replica_set().await).spawn().await;
    assert_tokens_survive_copy(app, CopyTarget::file()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_stay_valid_after_copy_to_another_file() {
    assert_tokens_survive_copy(spawn_app().await, CopyTarget::file()).await;
}
