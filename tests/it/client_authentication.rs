//! Tests of client authentication (RFC 6749 §2.3).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sentinel::admin::Versions;

use crate::helpers::{App, TestResponse, send, spawn_app};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// Sends a client credentials request with this `Authorization` header.
async fn with_header(app: &App, header: &str, form: &[(&str, &str)]) -> TestResponse {
    let request = app.request("POST", "/oauth/token").header("authorization", header);
    send(request.form(&[&[GRANT], form].concat())).await
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test]
async fn client_secret_is_accepted_in_header_or_body() {
    let app = spawn_app().await;
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let both_right = basic(id, secret);
    for header in
        [&both_right, &both_right.replace("Basic", "bAsIc"), &both_right.replace(' ', "  ")]
    {
        assert_eq!(with_header(&app, header, &[]).await.status, 200, "{header}");
    }
    assert_eq!(with_header(&app, &both_right, &[("client_id", id)]).await.status, 200);
    let in_body = [GRANT, ("client_id", id), ("client_secret", secret)];
    assert_eq!(app.post("/oauth/token", &in_body).await.status, 200);
    // RFC 6749 §2.3.1 requires id and secret to be form-encoded.
    let encoded = basic(id, &secret.replacen("sns_", "%73ns%5F", 1));
    assert_eq!(with_header(&app, &encoded, &[]).await.status, 200);
}

#[tokio::test]
async fn every_failed_client_authentication_returns_same_401() {
    let app = spawn_app().await;
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let unknown = "x".repeat(40);
    let headers = [
        basic(id, "wrong"),
        basic(&unknown, secret),
        basic(id, ""),
        basic("", ""),
        basic(id, &format!("{secret}x")),
        format!("Basic {}", BASE64_STANDARD.encode(id)),
        format!("Basic {}", BASE64_STANDARD.encode(b"\xff\xfe:x")),
        "Basic ????".to_owned(),
        "Basic".to_owned(),
        "Bearer abc".to_owned(),
        basic("%zz", "%"),
        basic(&"x".repeat(3000), "y"),
    ];
    let expected = with_header(&app, &headers[0], &[]).await;
    for header in &headers {
        let answer = with_header(&app, header, &[]).await;
        answer.assert_error(401, "invalid_client");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "));
        assert_eq!(answer.text, expected.text, "{header}");
    }
    let in_body = [
        vec![GRANT],
        vec![GRANT, ("client_id", &unknown)],
        vec![GRANT, ("client_id", id)],
        vec![GRANT, ("client_id", id), ("client_secret", "wrong")],
        vec![GRANT, ("client_secret", secret)],
        vec![GRANT, ("client_id", "\u{1f511}"), ("client_secret", secret)],
        // A public client has no secret, so none can match.
        vec![GRANT, ("client_id", app.client.id.as_str()), ("client_secret", "x")],
    ];
    for form in in_body {
        let answer = app.post("/oauth/token", &form).await;
        answer.assert_error(401, "invalid_client");
        assert_eq!(answer.text, expected.text, "{form:?}");
    }
}

#[tokio::test]
async fn two_client_authentication_methods_are_invalid_request() {
    let app = spawn_app().await;
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let header = basic(id, secret);
    let twice = with_header(&app, &header, &[("client_id", id), ("client_secret", secret)]).await;
    twice.assert_error(400, "invalid_request");
    let other = with_header(&app, &header, &[("client_id", app.client.id.as_str())]).await;
    other.assert_error(400, "invalid_request");
    let request = app.request("POST", "/oauth/token").form(&[GRANT]);
    let repeated = request.header("authorization", &header).header("authorization", &header);
    send(repeated).await.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn public_client_with_empty_secret_in_header_is_accepted() {
    let app = spawn_app().await;
    let form =
        [("grant_type", "password"), ("username", "alice"), ("password", crate::helpers::PASSWORD)];
    let request = app.request("POST", "/oauth/token").form(&form);
    let answer = send(request.basic_auth(app.client.id.as_str(), Some(""))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn rotated_client_secret_replaces_old_one_immediately() {
    let app = spawn_app().await;
    let old = basic(app.backend.id.as_str(), &app.backend_secret);
    let rotated = app.admin.rotate_secret(&app.backend.id, Versions::Any).await.unwrap();
    let (_, secret) = rotated.value;
    let new = basic(app.backend.id.as_str(), secrecy::ExposeSecret::expose_secret(&secret));
    with_header(&app, &old, &[]).await.assert_error(401, "invalid_client");
    assert_eq!(with_header(&app, &new, &[]).await.status, 200);
}

#[tokio::test]
async fn disabled_client_is_refused_and_its_sessions_are_revoked() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    assert!(app.is_active(&tokens.access_token()).await);
    app.disable_client().await;
    assert!(!app.is_active(&tokens.access_token()).await);
    app.login_with(&[]).await.assert_error(401, "invalid_client");
    app.refresh(&tokens.refresh_token()).await.assert_error(401, "invalid_client");
    app.revoke(&tokens.refresh_token()).await.assert_error(401, "invalid_client");
    app.enable_client().await;
    app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
    app.login().await;
}
