//! The token endpoint (RFC 6749 §3.2): grants, scopes and every error response.

mod requests;

use crate::helpers::{AppBuilder, PASSWORD, spawn_app};

#[tokio::test]
async fn password_grant_returns_a_bearer_token_and_a_refresh_token() {
    let app = spawn_app().await;
    let answer = app.login().await;
    answer.assert_uncacheable_json();
    insta::assert_json_snapshot!(answer.json(), {
        ".access_token" => insta::dynamic_redaction(|value, _| {
            assert!(value.as_str().unwrap().starts_with("sna_"));
            "[access token]"
        }),
        ".refresh_token" => insta::dynamic_redaction(|value, _| {
            assert!(value.as_str().unwrap().starts_with("snr_"));
            "[refresh token]"
        }),
    }, @r#"
    {
      "access_token": "[access token]",
      "expires_in": 3600,
      "refresh_token": "[refresh token]",
      "scope": "read write",
      "token_type": "Bearer"
    }
    "#);
}

#[tokio::test]
async fn unknown_user_wrong_password_and_disabled_user_get_the_same_error() {
    let app = spawn_app().await;
    let wrong_password = app.login_with_password("alice", "wrong").await;
    let wrong_user = app.login_with_password("bob", PASSWORD).await;
    app.disable_user().await;
    let disabled = app.login_with_password("alice", PASSWORD).await;
    for answer in [&wrong_password, &wrong_user, &disabled] {
        answer.assert_error(400, "invalid_grant");
        assert_eq!(answer.text, wrong_password.text);
    }
}

#[tokio::test]
async fn login_with_unusual_characters_is_invalid_grant_or_invalid_request() {
    let app = spawn_app().await;
    for text in ["\u{202e}x", "%00", "' OR 1=1 --", "\u{1f511}", &"x".repeat(10_000)] {
        let answer = app.login_with_password("alice", text).await;
        answer.assert_error(400, "invalid_grant");
        app.login_with_password(text, "wrong").await.assert_error(400, "invalid_grant");
    }
    // RFC 6749 Appendix A allows control characters in neither.
    for text in ["a\0", "a\r\nb", "\u{7f}"] {
        app.login_with_password("alice", text).await.assert_error(400, "invalid_request");
        app.login_with_password(text, "x").await.assert_error(400, "invalid_request");
    }
}

#[tokio::test]
async fn unknown_disabled_or_unauthorized_grant_type_is_refused() {
    let app = AppBuilder::default().set("oauth.grants", "password,refresh_token").spawn().await;
    for grant in ["authorization_code", "implicit", "PASSWORD", "client_credentials", "\u{1f511}"] {
        let answer = app.post_as_backend("/oauth/token", &[("grant_type", grant)]).await;
        answer.assert_error(400, "unsupported_grant_type");
    }
    let app = spawn_app().await;
    let form = [("grant_type", "client_credentials"), ("client_id", app.client.id.as_str())];
    app.post("/oauth/token", &form).await.assert_error(400, "unauthorized_client");
}

#[tokio::test]
async fn client_without_the_refresh_grant_gets_no_refresh_token() {
    let app = spawn_app().await;
    app.set_grants("password").await;
    let answer = app.login().await;
    assert!(answer.json().get("refresh_token").is_none(), "{answer:?}");
    app.refresh("snr_x").await.assert_error(400, "unauthorized_client");
}

#[tokio::test]
async fn client_credentials_grant_returns_a_token_without_a_user() {
    let app = spawn_app().await;
    let form = [("grant_type", "client_credentials"), ("scope", "admin")];
    let answer = app.post_as_backend("/oauth/token", &form).await;
    assert_eq!(answer.status, 200);
    // RFC 6749 §4.4.3: "A refresh token SHOULD NOT be included."
    assert!(answer.json().get("refresh_token").is_none());
    assert_eq!(answer.text_of("scope"), "admin");
    let introspected = app.introspect(&answer.access_token()).await.json();
    assert_eq!(introspected["sub"], app.backend.id.as_str());
    assert!(introspected.get("username").is_none());
}

#[tokio::test]
async fn granted_scope_is_the_requested_scope_within_client_and_user_limits() {
    let app = spawn_app().await;
    assert_eq!(app.login().await.text_of("scope"), "read write");
    for (asked, granted) in [
        ("read", "read"),
        ("admin read", "admin read"),
        (" read  write ", "read write"),
        ("", "read write"),
        (" ", "read write"),
    ] {
        let answer = app.login_with(&[("scope", asked)]).await;
        assert_eq!(answer.text_of("scope"), granted, "asked for {asked:?}");
    }
    for asked in ["other", "read other", "READ", "re\"ad", "a\\b", "read\nwrite", "l\u{e4}sen"] {
        app.login_with(&[("scope", asked)]).await.assert_error(400, "invalid_scope");
    }
    app.limit_user("read").await;
    assert_eq!(app.login().await.text_of("scope"), "read");
    app.login_with(&[("scope", "write")]).await.assert_error(400, "invalid_scope");
    // The password is checked first, so that the scope error reveals nothing about a user.
    let form = [("scope", "write"), ("username", "bob")];
    app.login_with(&form[..1]).await.assert_error(400, "invalid_scope");
    let unknown = app.login_as("bob", "x", &[("scope", "write")]).await;
    unknown.assert_error(400, "invalid_grant");
    let wrong = app.login_as("alice", "x", &[("scope", "write")]).await;
    wrong.assert_error(400, "invalid_grant");
    app.limit_user("").await;
    assert_eq!(app.login().await.text_of("scope"), "");
}

#[tokio::test]
async fn login_with_a_full_hashing_queue_is_503_with_retry_after() {
    let app = AppBuilder::default()
        .set("password.queue", "1")
        .set("password.workers", "1")
        .set("password.memory_kib", "16384")
        .set("password.iterations", "4")
        .spawn()
        .await;
    let logins: Vec<_> = (0..12).map(|_| app.login_with(&[])).collect();
    let answers = crate::helpers::all(logins).await;
    let (good, busy): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!good.is_empty() && !busy.is_empty(), "{} {}", good.len(), busy.len());
    for answer in busy {
        answer.assert_error(503, "temporarily_unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn error_uri_is_sent_only_if_public_url_is_set() {
    let app = AppBuilder::default().set("server.public_url", "https://id.example").spawn().await;
    let answer = app.login_with_password("alice", "wrong").await;
    assert_eq!(answer.text_of("error_uri"), "https://id.example/oauth/errors");
    let app = spawn_app().await;
    let answer = app.login_with_password("alice", "wrong").await;
    assert!(answer.json().get("error_uri").is_none());
}

#[tokio::test]
async fn compat_setting_restores_the_status_codes_of_flask_sentinel() {
    let app = AppBuilder::default().set("compat.flask_sentinel_status", "true").spawn().await;
    app.login_with_password("alice", "wrong").await.assert_error(401, "invalid_grant");
    app.login_with(&[("scope", "other")]).await.assert_error(401, "invalid_scope");
    let form = [("grant_type", "client_credentials"), ("client_id", app.client.id.as_str())];
    app.post("/oauth/token", &form).await.assert_error(401, "unauthorized_client");
    app.login_with(&[("scope", "a"), ("scope", "b")]).await.assert_error(400, "invalid_request");
    // flask-sentinel had no other endpoint.
    app.set_introspection(false).await;
    app.introspect("x").await.assert_error(403, "unauthorized_client");
}

#[tokio::test]
async fn endpoint_paths_can_be_changed_and_disabled() {
    let app = AppBuilder::default()
        .set("oauth.route_prefix", "/auth")
        .set("oauth.token_url", "/t")
        .set("oauth.introspection_url", "false")
        .spawn()
        .await;
    let form = [("grant_type", "x"), ("client_id", app.client.id.as_str())];
    app.post("/auth/t", &form).await.assert_error(400, "unsupported_grant_type");
    assert_eq!(app.post("/auth/introspect", &[]).await.status, 404);
    assert_eq!(app.post("/oauth/token", &[]).await.status, 404);
}
