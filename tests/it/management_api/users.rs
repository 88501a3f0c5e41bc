//! Users: created, read, changed and deleted.

use serde_json::json;

use super::{API, managed};
use crate::helpers::PASSWORD;

#[tokio::test]
async fn created_user_can_log_in() {
    let app = managed().spawn().await;
    let new = json!({ "username": "bob", "password": "bobs password" });
    let made = app.send_json("POST", "/users", &new).await;
    assert_eq!(made.status, 201, "{made:?}");
    let bob = made.json();
    let id = bob["id"].as_str().unwrap();
    assert_eq!(
        bob,
        json!({
            "id": id,
            "username": "bob",
            "scopes": null,
            "enabled": true,
            "created_at": "2100-01-01T00:00:00Z",
            "updated_at": "2100-01-01T00:00:00Z",
        })
    );
    assert_eq!(made.header("location"), Some(format!("{API}/users/{id}").as_str()));
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let read = app.get(&format!("/users/{id}")).await;
    assert_eq!((read.status, read.json()), (200, bob));
    assert_eq!(read.etag(), made.etag());
    assert_eq!(app.login_with_password("bob", "bobs password").await.status, 200);
}

#[tokio::test]
async fn user_can_be_created_disabled_and_with_scopes() {
    let app = managed().spawn().await;
    let new = json!({
        "username": "J\u{f6}rg M\u{fc}ller", "password": "long enough", "scopes": ["write", "read"], "enabled": false,
    });
    let made = app.send_json("POST", "/users", &new).await.json();
    assert_eq!(made["scopes"], json!(["read", "write"]));
    assert_eq!(made["enabled"], false);
    assert_eq!(app.login_with_password("J\u{f6}rg M\u{fc}ller", "long enough").await.status, 400);
    let none = json!({ "username": "carol", "password": "long enough", "scopes": [] });
    assert_eq!(app.send_json("POST", "/users", &none).await.json()["scopes"], json!([]));
}

#[tokio::test]
async fn duplicate_user_name_is_409() {
    let app = managed().spawn().await;
    let again = json!({ "username": "alice", "password": "long enough" });
    let refused = app.send_json("POST", "/users", &again).await;
    assert!(refused.assert_problem(409).contains("alice"));
    let bob = json!({ "username": "bob", "password": "long enough" });
    let bob = app.send_json("POST", "/users", &bob).await.json();
    let path = format!("/users/{}", bob["id"].as_str().unwrap());
    app.send_json("PATCH", &path, &json!({ "username": "alice" })).await.assert_problem(409);
    assert_eq!(app.read(&path).await, bob);
}

#[tokio::test]
async fn another_spelling_of_a_user_name_is_409() {
    let app = managed().spawn().await;
    let named = |name: &str| json!({ "username": name, "password": "long enough" });
    let refused = app.send_json("POST", "/users", &named("ALICE ")).await;
    assert!(refused.assert_problem(409).contains("\"alice\""));
    let bob = app.send_json("POST", "/users", &named(" Bob ")).await.json();
    assert_eq!(bob["username"], "Bob");
    let path = format!("/users/{}", bob["id"].as_str().unwrap());
    app.send_json("PATCH", &path, &json!({ "username": "Alice" })).await.assert_problem(409);
    let renamed = app.send_json("PATCH", &path, &json!({ "username": "BOB" })).await;
    assert_eq!(renamed.text_of("username"), "BOB");
    for name in ["al\u{200b}ice", "\u{202e}eve", "a\u{ad}b", "a  b", " ", "\u{1f511}", "x\u{85}"] {
        app.send_json("POST", "/users", &named(name)).await.assert_invalid("/username");
    }
}

#[tokio::test]
async fn user_patch_changes_only_given_members() {
    let app = managed().spawn().await;
    let path = app.alice();
    let before = app.read(&path).await;
    let login = app.login().await;
    app.advance(10);
    let changed = app.send_json("PATCH", &path, &json!({ "username": "alicia" })).await;
    assert_eq!(changed.status, 200);
    let mut after = before.clone();
    after["username"] = "alicia".into();
    after["updated_at"] = "2100-01-01T00:00:10Z".into();
    assert_eq!(changed.json(), after);
    assert!(app.is_active(&login.access_token()).await, "a new name ends no session");

    let limited = app.send_json("PATCH", &path, &json!({ "scopes": ["read"] })).await.json();
    assert_eq!(limited["scopes"], json!(["read"]));
    assert_eq!(limited["username"], "alicia");
    let free = app.send_json("PATCH", &path, &json!({ "scopes": null })).await.json();
    assert_eq!(free["scopes"], json!(null));
    assert_eq!(app.send_json("PATCH", &path, &json!({})).await.json()["enabled"], true);
    assert_eq!(app.read(&path).await["username"], "alicia");
}

#[tokio::test]
async fn patch_accepts_merge_patch_media_type() {
    let app = managed().spawn().await;
    let patch =
        app.api("PATCH", &app.alice()).header("content-type", "application/merge-patch+json");
    let answer = crate::helpers::send(patch.body(r#"{"scopes":["read"]}"#)).await;
    assert_eq!(answer.json()["scopes"], json!(["read"]));
}

#[tokio::test]
async fn disabling_user_ends_sessions_and_prevents_login() {
    let app = managed().spawn().await;
    let login = app.login().await;
    let off = app.send_json("PATCH", &app.alice(), &json!({ "enabled": false })).await;
    assert_eq!(off.json()["enabled"], false);
    assert!(!app.is_active(&login.access_token()).await);
    assert_eq!(app.login_with(&[]).await.status, 400);
    app.send_json("PATCH", &app.alice(), &json!({ "enabled": true })).await;
    app.login().await;
}

#[tokio::test]
async fn new_password_replaces_old_one_and_ends_sessions() {
    let app = managed().spawn().await;
    let login = app.login().await;
    let path = format!("{}/password", app.alice());
    let set = app.send_json("POST", &path, &json!({ "password": "a new one" })).await;
    assert_eq!((set.status, set.text.as_str()), (204, ""));
    assert_eq!(set.etag(), app.get(&app.alice()).await.etag());
    assert!(!app.is_active(&login.access_token()).await);
    assert_eq!(app.login_with_password("alice", PASSWORD).await.status, 400);
    assert_eq!(app.login_with_password("alice", "a new one").await.status, 200);
}

#[tokio::test]
async fn password_shorter_than_min_length_is_refused() {
    let app = managed().set("password.min_length", "12").spawn().await;
    let described = app.read("/openapi.json").await;
    assert_eq!(described["components"]["schemas"]["Password"]["minLength"], 12);
    let path = format!("{}/password", app.alice());
    // The limit counts characters. Each of these has two bytes.
    let (eleven, twelve) = ("\u{f6}".repeat(11), "\u{f6}".repeat(12));
    for (path, name) in [("/users", Some("bob")), (path.as_str(), None)] {
        let body = |password: &str| match name {
            Some(name) => json!({ "username": name, "password": password }),
            None => json!({ "password": password }),
        };
        let refused = app.send_json("POST", path, &body(&eleven)).await;
        let detail = refused.assert_invalid("/password");
        assert_eq!(detail, "expected a password of at least 12 characters");
        let done = app.send_json("POST", path, &body(&twelve)).await;
        assert!(matches!(done.status, 201 | 204), "{done:?}");
    }
    for name in ["alice", "bob"] {
        assert_eq!(app.login_with_password(name, &twelve).await.status, 200);
    }
}

#[tokio::test]
async fn deleting_user_ends_sessions() {
    let app = managed().spawn().await;
    let login = app.login().await;
    let gone = app.delete(&app.alice()).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert!(!app.is_active(&login.access_token()).await);
    app.get(&app.alice()).await.assert_problem(404);
    app.delete(&app.alice()).await.assert_problem(404);
    app.send_json("PATCH", &app.alice(), &json!({ "enabled": true })).await.assert_problem(404);
    let password = json!({ "password": "long enough" });
    app.send_json("POST", &format!("{}/password", app.alice()), &password)
        .await
        .assert_problem(404);
}

#[tokio::test]
async fn unknown_user_id_is_404() {
    let app = managed().spawn().await;
    for id in ["alice", "0", "000000000000000000000000", "%00", "%ff", "%2e", "a%2Fb", "*"] {
        app.get(&format!("/users/{id}")).await.assert_problem(404);
        app.delete(&format!("/users/{id}")).await.assert_problem(404);
    }
}

#[tokio::test]
async fn responses_contain_no_password_hash_or_secret() {
    let app = managed().spawn().await;
    for path in ["/users".to_owned(), app.alice(), "/clients".to_owned(), app.confidential()] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let text = answer.text;
        let digest =
            hex::encode(sentinel::domain::Digest::of(app.backend_secret.as_bytes()).as_bytes());
        for secret in ["argon2", "password_hash", "secret", digest.as_str()] {
            assert!(!text.contains(secret), "{path}: {secret} in {text}");
        }
    }
}

/// A resource server could take the user for the client.
#[tokio::test]
async fn user_name_that_is_id_of_client_is_conflict() {
    let app = managed().spawn().await;
    let named = |name: &str| json!({ "username": name, "password": "long enough" });
    let id = app.backend.id.as_str();
    let detail = app.send_json("POST", "/users", &named(id)).await.assert_problem(409);
    assert!(detail.contains(id) && detail.contains("client"), "{detail}");
    let patch = json!({ "username": id });
    app.send_json("PATCH", &app.alice(), &patch).await.assert_problem(409);
    for name in ["https://app.example.org/", "dcr-1", "Https://x"] {
        app.send_json("POST", "/users", &named(name)).await.assert_invalid("/username");
        app.send_json("PATCH", &app.alice(), &json!({ "username": name }))
            .await
            .assert_invalid("/username");
    }
    assert_eq!(app.send_json("POST", "/users", &named("dcr")).await.status, 201);
}
