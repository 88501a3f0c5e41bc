//! Clients: created, read, changed and deleted, and their secrets rotated.

use sentinel::store::OpenMode;
use serde_json::json;

use super::{API, managed};
use crate::helpers::{App, send};

async fn logs_in(app: &App, id: &str, secret: &str) -> bool {
    let form = [("grant_type", "client_credentials")];
    let request = app.request("POST", "/oauth/token").form(&form).basic_auth(id, Some(secret));
    send(request).await.status == 200
}

#[tokio::test]
async fn public_client_is_created_with_default_grants() {
    let app = managed().spawn().await;
    let made = app.send_json("POST", "/clients", &json!({ "type": "public" })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let client = made.json();
    let id = client["client_id"].as_str().unwrap();
    assert_eq!(
        client,
        json!({
            "client_id": id,
            "name": "",
            "type": "public",
            "grants": ["password", "refresh_token"],
            "scopes": [],
            "default_scopes": [],
            "access_token_ttl": null,
            "refresh_idle_ttl": null,
            "session_ttl": null,
            "introspection": false,
            "introspect_refresh_tokens": false,
            "enabled": true,
            "created_at": "2100-01-01T00:00:00Z",
            "updated_at": "2100-01-01T00:00:00Z",
        })
    );
    assert_eq!(made.header("location"), Some(format!("{API}/clients/{id}").as_str()));
    let read = app.get(&format!("/clients/{id}")).await;
    assert_eq!((read.json(), read.etag()), (client.clone(), made.etag()));
}

#[tokio::test]
async fn secret_of_confidential_client_is_returned_once() {
    let app = managed().spawn().await;
    let new = json!({
        "type": "confidential", "name": "API", "grants": ["client_credentials"], "introspection": true,
        "scopes": ["admin"], "default_scopes": ["write", "read"], "access_token_ttl": 60,
        "refresh_idle_ttl": 3600.0, "session_ttl": null,
    });
    let made = app.send_json("POST", "/clients", &new).await.json();
    let id = made["client_id"].as_str().unwrap();
    let secret = made["client_secret"].as_str().unwrap();
    assert_eq!(made["scopes"], json!(["admin", "read", "write"]));
    assert_eq!(made["default_scopes"], json!(["read", "write"]));
    assert_eq!((&made["access_token_ttl"], &made["refresh_idle_ttl"]), (&json!(60), &json!(3600)));
    assert!(logs_in(&app, id, secret).await);
    let read = app.read(&format!("/clients/{id}")).await;
    assert_eq!(read["introspection"], true);
    assert_eq!(read["client_secret"], json!(null));
}

#[tokio::test]
async fn confidential_client_members_are_refused_for_public_client() {
    let app = managed().spawn().await;
    let with = |member: &str, value: serde_json::Value| json!({ "type": "public", member: value });
    let post = async |body| app.send_json("POST", "/clients", &body).await;
    let grants = json!(["password", "client_credentials"]);
    post(with("grants", grants.clone())).await.assert_invalid("/grants/1");
    post(with("introspection", json!(true))).await.assert_invalid("/introspection");
    let path = app.public();
    for change in [json!({ "introspection": true }), json!({ "grants": grants })] {
        app.send_json("PATCH", &path, &change).await.assert_problem(409);
    }
    send(app.api("POST", &format!("{path}/secret"))).await.assert_problem(409);
    assert_eq!(
        app.send_json("PATCH", &app.confidential(), &json!({ "grants": grants })).await.status,
        200
    );
}

#[tokio::test]
async fn permission_for_refresh_tokens_requires_introspection() {
    let app = managed().spawn().await;
    let alone = json!({ "type": "confidential", "introspect_refresh_tokens": true });
    let refused = app.send_json("POST", "/clients", &alone).await;
    refused.assert_invalid("/introspect_refresh_tokens");
    let both = json!({
        "type": "confidential", "introspection": true, "introspect_refresh_tokens": true,
    });
    let made = app.send_json("POST", "/clients", &both).await.json();
    assert_eq!(made["introspect_refresh_tokens"], true);
    let path = format!("/clients/{}", made["client_id"].as_str().unwrap());
    let patch = async |body| app.send_json("PATCH", &path, &body).await;
    let withdrawn = patch(json!({ "introspection": false })).await.json();
    assert_eq!(withdrawn["introspect_refresh_tokens"], false);
    patch(json!({ "introspect_refresh_tokens": true })).await.assert_problem(409);
    assert_eq!(patch(json!({ "introspection": true })).await.status, 200);
    let given = patch(json!({ "introspect_refresh_tokens": true })).await.json();
    assert_eq!(given["introspect_refresh_tokens"], true);
    patch(json!({ "introspect_refresh_tokens": null })).await.assert_problem(422);
}

#[tokio::test]
async fn client_patch_changes_only_given_members() {
    let app = managed().spawn().await;
    let path = app.public();
    let mut client = app.read(&path).await;
    let changes = [
        ("name", json!("App \u{1f511}")),
        ("grants", json!(["password"])),
        ("access_token_ttl", json!(90)),
        ("refresh_idle_ttl", json!(91)),
        ("session_ttl", json!(92)),
        ("session_ttl", json!(null)),
        ("default_scopes", json!(["read"])),
        ("scopes", json!(["admin", "read"])),
        ("enabled", json!(false)),
    ];
    for (member, value) in changes {
        let changed = app.send_json("PATCH", &path, &json!({ member: value })).await;
        client[member] = value;
        assert_eq!((changed.status, changed.json()), (200, client.clone()), "{member}");
    }
    // A default scope is an allowed scope, whichever of the two members is set.
    let fewer = app.send_json("PATCH", &path, &json!({ "scopes": ["admin"] })).await.json();
    assert_eq!(fewer["default_scopes"], json!([]));
    let more = app.send_json("PATCH", &path, &json!({ "default_scopes": ["x"] })).await.json();
    assert_eq!(more["scopes"], json!(["admin", "x"]));
}

#[tokio::test]
async fn disabling_client_ends_its_sessions() {
    let app = managed().spawn().await;
    let login = app.login().await;
    app.send_json("PATCH", &app.public(), &json!({ "enabled": false })).await;
    assert!(!app.is_active(&login.access_token()).await);
    app.login_with(&[]).await.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn new_secret_replaces_old_one() {
    let app = managed().spawn().await;
    let (path, id) = (app.confidential(), app.backend.id.to_string());
    assert!(logs_in(&app, &id, &app.backend_secret).await);
    let rotated = send(app.api("POST", &format!("{path}/secret"))).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    assert_eq!(rotated.text_of("client_id"), id);
    assert_eq!(rotated.etag(), app.get(&path).await.etag());
    assert!(logs_in(&app, &id, &rotated.text_of("client_secret")).await);
    assert!(!logs_in(&app, &id, &app.backend_secret).await);
    send(app.api("POST", "/clients/nobody/secret")).await.assert_problem(404);
}

#[tokio::test]
async fn deleting_client_ends_its_sessions() {
    let app = managed().spawn().await;
    let login = app.login().await;
    assert_eq!(app.delete(&app.public()).await.status, 204);
    assert!(!app.is_active(&login.access_token()).await);
    app.get(&app.public()).await.assert_problem(404);
    app.delete(&app.public()).await.assert_problem(404);
    app.send_json("PATCH", &app.public(), &json!({})).await.assert_problem(404);
}

/// An imported client keeps its id.
#[tokio::test]
async fn percent_encoded_client_id_is_found() {
    let app = managed().spawn().await;
    let stores = sentinel::app::open_stores(&app.settings, OpenMode::Write).await.unwrap();
    for id in ["a/b c", "50%", "%2F", "?#&=+", "~\"<>"] {
        let client = sentinel::domain::Client { id: id.parse().unwrap(), ..app.client.clone() };
        assert!(stores.clients.insert(&client).await.unwrap());
        let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/clients/{encoded}");
        assert_eq!(app.read(&path).await["client_id"], id);
        assert_eq!(app.delete(&path).await.status, 204, "{id}");
    }
}
