//! Sessions: listed, read and ended.

use serde_json::json;

use super::managed;
use crate::helpers::App;

async fn ids(app: &App, query: &str) -> Vec<String> {
    let list = app.read(&format!("/sessions{query}")).await;
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn session_of_login_can_be_listed_and_read() {
    let app = managed().spawn().await;
    app.login().await;
    let list = app.read("/sessions").await;
    let session = list["items"][0].clone();
    let id = session["id"].as_str().unwrap();
    assert_eq!(
        session,
        json!({
            "id": id,
            "user_id": app.user.id.to_string(),
            "username": "alice",
            "client_id": app.client.id.as_str(),
            "scopes": ["read", "write"],
            "created_at": "2100-01-01T00:00:00Z",
            "ends_at": "2100-06-30T00:00:00Z",
            "expires_at": "2100-01-31T00:00:00Z",
            "access_tokens": 1,
            "refreshable": true,
        })
    );
    assert_eq!(list["next"], json!(null));
    assert_eq!(app.read(&format!("/sessions/{id}")).await, session);
    app.advance(3601);
    assert_eq!(app.read(&format!("/sessions/{id}")).await["access_tokens"], 0);
}

#[tokio::test]
async fn client_credentials_session_has_no_user() {
    let app = managed().spawn().await;
    app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;
    let session = app.read("/sessions").await["items"][0].clone();
    assert_eq!((&session["user_id"], &session["username"]), (&json!(null), &json!(null)));
    assert_eq!(session["refreshable"], false);
}

#[tokio::test]
async fn session_list_can_be_filtered_by_user_and_client() {
    let app = managed().spawn().await;
    app.login().await;
    app.login().await;
    app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;
    let (user, client, backend) = (app.user.id, &app.client.id, &app.backend.id);
    for (query, found) in [
        (String::new(), 3),
        ("?user=alice".to_owned(), 2),
        (format!("?user={user}"), 2),
        (format!("?client={client}"), 2),
        (format!("?client={backend}"), 1),
        (format!("?user=alice&client={client}"), 2),
        (format!("?user=alice&client={backend}"), 0),
    ] {
        assert_eq!(ids(&app, &query).await.len(), found, "{query}");
    }
    for query in ["?user=nobody", "?client=nobody", "?user="] {
        app.get(&format!("/sessions{query}")).await.assert_problem(404);
    }
}

#[tokio::test]
async fn expired_session_is_not_found() {
    let app = managed().spawn().await;
    app.login().await;
    let id = ids(&app, "").await.remove(0);
    app.advance(31 * 24 * 3600);
    assert_eq!(ids(&app, "").await, [""; 0]);
    app.get(&format!("/sessions/{id}")).await.assert_problem(404);
}

#[tokio::test]
async fn ending_one_session_keeps_others_active() {
    let app = managed().spawn().await;
    let first = app.login().await;
    let id = ids(&app, "").await.remove(0);
    let second = app.login().await;
    let ended = app.delete(&format!("/sessions/{id}")).await;
    assert_eq!((ended.status, ended.text.as_str()), (204, ""));
    assert!(!app.is_active(&first.access_token()).await);
    assert!(app.is_active(&second.access_token()).await);
    app.delete(&format!("/sessions/{id}")).await.assert_problem(404);
    app.delete("/sessions/no-id").await.assert_problem(404);
}

#[tokio::test]
async fn ending_by_user_or_client_ends_all_their_sessions() {
    let app = managed().spawn().await;
    for _ in 0..3 {
        app.login().await;
    }
    let own = app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;
    assert_eq!(app.delete("/sessions?user=alice").await.json(), json!({ "ended": 3 }));
    assert_eq!(app.delete("/sessions?user=alice").await.json(), json!({ "ended": 0 }));
    assert!(app.is_active(&own.access_token()).await);
    let of_backend = format!("/sessions?client={}", app.backend.id);
    assert_eq!(app.delete(&of_backend).await.json(), json!({ "ended": 1 }));
    assert!(!app.is_active(&own.access_token()).await);
}

#[tokio::test]
async fn ending_sessions_without_valid_filter_is_refused() {
    let app = managed().spawn().await;
    let login = app.login().await;
    app.delete("/sessions").await.assert_bad_parameter("user");
    app.delete("/sessions?usr=alice").await.assert_bad_parameter("usr");
    app.delete("/sessions?user=nobody").await.assert_problem(404);
    app.delete("/sessions?user=alice&client=nobody").await.assert_problem(404);
    assert!(app.is_active(&login.access_token()).await);
}
