//! Tests of introspection (RFC 7662), server metadata (RFC 8414), the page of error codes and the
//! probes.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use sentinel::admin::{ClientChange, NewClient};

use crate::helpers::{App, AppBuilder, TestResponse, send, spawn_app};

#[tokio::test]
async fn introspection_of_active_token_returns_all_members() {
    let app = AppBuilder::default().set("server.public_url", "https://id.example").spawn().await;
    let tokens = app.login().await;
    let introspected = app.introspect(&tokens.access_token()).await;
    introspected.assert_uncacheable_json();
    let expected = serde_json::json!({
        "active": true,
        "scope": "read write",
        "client_id": app.client.id.as_str(),
        "username": "alice",
        "sub": app.user.id.to_string(),
        "token_type": "Bearer",
        "iat": 4_102_444_800_i64,
        "exp": 4_102_444_800_i64 + 3600,
        "iss": "https://id.example",
    });
    assert_eq!(introspected.json(), expected);
    let introspected = app.introspect(&tokens.refresh_token()).await.json();
    assert_eq!(introspected["token_type"], "refresh_token");
    assert_eq!(introspected["exp"], 4_102_444_800_i64 + 30 * 86_400);
}

#[tokio::test]
async fn introspection_omits_members_without_a_value() {
    let app = spawn_app().await;
    app.set_default_scopes("").await;
    let own = app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;
    assert_eq!(own.json()["scope"], "", "the token response has the scope always");
    let tokens = app.login().await;
    for (token, members) in [
        (own.access_token(), vec!["active", "client_id", "exp", "iat", "sub", "token_type"]),
        (
            tokens.access_token(),
            vec!["active", "client_id", "exp", "iat", "sub", "token_type", "username"],
        ),
    ] {
        // The first is looked up by the store's client, the second by the cached one.
        for _ in 0..2 {
            let answer = app.introspect(&token).await.json();
            let names: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, members);
            let empty = |value: &serde_json::Value| value.is_null() || value == "";
            assert!(!answer.as_object().unwrap().values().any(empty), "{answer}");
        }
    }
}

#[tokio::test]
async fn token_without_required_scope_is_inactive_at_introspection() {
    let app = spawn_app().await;
    let tokens = app.login_with(&[("scope", "read")]).await;
    let ask = |token: &str, scope: &str| {
        app.post_as_backend("/oauth/introspect", &[("token", token), ("scope", scope)])
    };
    // Twice: the second time, the caller is cached.
    for _ in 0..2 {
        for token in [tokens.access_token(), tokens.refresh_token()] {
            for scope in ["read", "", " ", "read read", " read "] {
                let answer = ask(&token, scope).await;
                assert_eq!(answer.json()["scope"], "read", "{scope:?} {answer:?}");
            }
            for scope in ["write", "read write", "rea", "READ", "admin other"] {
                let answer = ask(&token, scope).await;
                let expected = (200, r#"{"active":false}"#);
                assert_eq!((answer.status, answer.text.as_str()), expected, "{scope:?}");
            }
        }
        for token in [tokens.access_token().as_str(), "x"] {
            for scope in ["re\"ad", "read\\", "caf\u{e9}", "read\twrite"] {
                let answer = ask(token, scope).await;
                answer.assert_error(400, "invalid_request");
                assert_eq!(answer.text_of("error_description"), "scope is malformed");
            }
        }
    }
    // The caller is authenticated before the scope is read.
    let form = [("token", "x"), ("scope", "\""), ("client_id", "x"), ("client_secret", "x")];
    app.post("/oauth/introspect", &form).await.assert_error(401, "invalid_client");
    let twice = [("token", "x"), ("scope", "read"), ("scope", "write")];
    app.post_as_backend("/oauth/introspect", &twice).await.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn refresh_token_is_inactive_without_permission_to_introspect_it() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let (access, refresh) = (tokens.access_token(), tokens.refresh_token());
    let assert_permitted = async |permitted: bool| {
        // Twice: the second time, the caller is cached.
        for _ in 0..2 {
            assert!(app.is_active(&access).await);
            let answer = app.introspect(&refresh).await;
            assert_eq!(answer.json()["active"], permitted, "{answer:?}");
            assert!(permitted || answer.text == r#"{"active":false}"#, "{answer:?}");
        }
    };
    assert_permitted(true).await;
    for _ in 0..2 {
        app.set_introspect_refresh_tokens(false).await;
        assert_permitted(false).await;
        app.set_introspect_refresh_tokens(true).await;
        assert_permitted(true).await;
    }
    // The token itself still works.
    app.set_introspect_refresh_tokens(false).await;
    assert_eq!(app.refresh(&refresh).await.status, 200);
}

#[tokio::test]
async fn new_introspection_client_may_not_introspect_refresh_tokens() {
    let app = spawn_app().await;
    let new = NewClient { confidential: true, introspection: true, ..NewClient::default() };
    let (client, secret) = app.admin.add_client(new).await.unwrap();
    let secret = secret.unwrap().expose_secret().to_owned();
    let tokens = app.login().await;
    for (token, active) in [(tokens.access_token(), true), (tokens.refresh_token(), false)] {
        let request = app.request("POST", "/oauth/introspect").form(&[("token", &token)]);
        let answer = send(request.basic_auth(client.id.as_str(), Some(&secret))).await;
        assert_eq!(answer.json()["active"], active);
    }
}

#[tokio::test]
async fn permission_for_refresh_tokens_requires_introspection() {
    let app = spawn_app().await;
    let new =
        NewClient { confidential: true, introspect_refresh_tokens: true, ..NewClient::default() };
    let refused = app.admin.add_client(new).await.unwrap_err();
    assert!(refused.to_string().contains("requires introspection"), "{refused}");
    // Withdrawing introspection withdraws both.
    app.set_introspection(false).await;
    let client = app.admin.client(app.backend.id.as_str()).await.unwrap();
    assert!(!client.introspection && !client.introspect_refresh_tokens);
    let change = ClientChange { introspect_refresh_tokens: Some(true), ..ClientChange::default() };
    let refused = app.admin.edit_client(&app.backend.id, &change).await.unwrap_err();
    assert!(refused.to_string().contains("requires introspection"), "{refused}");
}

#[tokio::test]
async fn introspection_requires_confidential_client_with_permission() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    let as_public = [("client_id", app.client.id.as_str()), ("token", token.as_str())];
    app.post("/oauth/introspect", &as_public).await.assert_error(401, "invalid_client");
    app.post("/oauth/introspect", &[("token", &token)]).await.assert_error(401, "invalid_client");
    let bearer = app.request("POST", "/oauth/introspect").bearer_auth(&token);
    let bearer = send(bearer.form(&[("token", &token)])).await;
    bearer.assert_error(401, "invalid_client");
    app.set_introspection(false).await;
    app.introspect(&token).await.assert_error(403, "unauthorized_client");
}

#[tokio::test]
async fn introspection_authenticates_client_before_reading_token() {
    let app = spawn_app().await;
    let alive = app.login().await.access_token();
    for token in [alive.as_str(), "nonsense", ""] {
        let form = [("client_id", "nobody"), ("client_secret", "x"), ("token", token)];
        app.post("/oauth/introspect", &form).await.assert_error(401, "invalid_client");
    }
    let missing = app.post_as_backend("/oauth/introspect", &[]).await;
    missing.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn metadata_lists_all_endpoints_for_issuer_with_path() {
    let app =
        AppBuilder::default().set("server.public_url", "https://id.example/team").spawn().await;
    let well_known = "/.well-known/oauth-authorization-server";
    for path in [well_known.to_owned(), format!("{well_known}/team")] {
        let answer = send(app.request("GET", &path)).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let any = ["none", "client_secret_basic", "client_secret_post"];
        let base = "https://id.example/team";
        let expected = serde_json::json!({
            "issuer": base,
            "token_endpoint": format!("{base}/oauth/token"),
            "token_endpoint_auth_methods_supported": any,
            "introspection_endpoint": format!("{base}/oauth/introspect"),
            "introspection_endpoint_auth_methods_supported": any[1..],
            "revocation_endpoint": format!("{base}/oauth/revoke"),
            "revocation_endpoint_auth_methods_supported": any,
            "grant_types_supported": ["password", "refresh_token", "client_credentials"],
            "response_types_supported": [],
        });
        assert_eq!(answer.json(), expected);
    }
    let app = spawn_app().await;
    assert_eq!(send(app.request("GET", well_known)).await.status, 404);
}

#[tokio::test]
async fn error_page_explains_every_error_code() {
    let app = spawn_app().await;
    let page = send(app.request("GET", "/oauth/errors")).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(!policy.contains("unsafe") && policy.contains("default-src 'none'"), "{policy}");
    let codes = sentinel::oauth::ErrorCode::ALL.map(sentinel::oauth::ErrorCode::as_str);
    for code in codes.into_iter().chain(["invalid_token", "insufficient_scope"]) {
        assert!(page.text.contains(&format!("<section id=\"{code}\">")), "{code}");
    }
    let elsewhere = AppBuilder::default().set("oauth.error_uri", "https://docs.example/e").spawn();
    let elsewhere = elsewhere.await;
    assert_eq!(send(elsewhere.request("GET", "/oauth/errors")).await.status, 404);
    let answer = elsewhere.post("/oauth/token", &[]).await;
    assert_eq!(answer.text_of("error_uri"), "https://docs.example/e");
}

/// Returns a response for each error code that is answered in JSON, except
/// `temporarily_unavailable`, which requires a failing store.
async fn one_of_each(app: &App) -> Vec<TestResponse> {
    let id = app.client.id.as_str();
    let (grant, password) = (("grant_type", "password"), ("password", crate::helpers::PASSWORD));
    let login = [("client_id", id), ("username", "alice"), grant, password];
    let other = app.login().await.access_token();
    vec![
        app.post("/oauth/token", &[]).await,
        app.post("/oauth/token", &[grant]).await,
        app.login_with_password("alice", "wrong").await,
        app.post_as_backend("/oauth/revoke", &[("token", &other)]).await,
        app.post("/oauth/token", &[("grant_type", "client_credentials"), login[0]]).await,
        app.post("/oauth/token", &[("grant_type", "implicit"), login[0]]).await,
        app.login_with(&[("scope", "other")]).await,
        send(app.request("GET", "/oauth/token")).await,
        send(app.request("GET", "/oauth/verify?scope=")).await,
        send(app.request("GET", "/oauth/nothing")).await,
    ]
}

#[tokio::test]
async fn error_uri_leads_to_explanation_of_error_code() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = AppBuilder::default()
        .set("server.bind", &free.to_string())
        .set("server.public_url", &format!("http://{free}"))
        .spawn()
        .await;
    let mut codes = BTreeSet::new();
    for answer in one_of_each(&app).await {
        let (code, uri) = (answer.text_of("error"), answer.text_of("error_uri"));
        let page = send(app.http.get(&uri)).await;
        assert_eq!(page.status, 200, "{uri}");
        assert_eq!(page.text.matches(&format!(" id=\"{code}\"")).count(), 1, "{code}");
        codes.insert(code);
    }
    for verified in ["/oauth/verify", "/oauth/verify?scope=admin"] {
        let token =
            if verified.contains("scope") { app.login().await.access_token() } else { "x".into() };
        let answer = send(app.request("GET", verified).bearer_auth(token)).await;
        let challenge = answer.header("www-authenticate").unwrap();
        codes.insert(challenge.split('"').nth(3).unwrap().to_owned());
    }
    codes.insert("temporarily_unavailable".to_owned());
    let page = send(app.request("GET", "/oauth/errors")).await;
    let anchors = page.text.split("<section id=\"").skip(1);
    let anchors: BTreeSet<_> =
        anchors.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert_eq!(anchors, codes, "the page explains what is answered, and that alone");
}

#[tokio::test]
async fn error_page_has_no_active_or_external_content() {
    let app = spawn_app().await;
    let page = send(app.request("GET", "/oauth/errors")).await;
    assert_eq!(page.status, 200);
    let text = page.text.to_lowercase();
    assert!(text.contains("<section id="), "{text}");
    for active in ["<script", "javascript:", " on", "<img", "<link", "<iframe", "src=", "url("] {
        // Only tags are searched, since event handlers are attributes.
        let tags =
            text.split('<').skip(1).map(|rest| format!("<{}", rest.split('>').next().unwrap()));
        assert!(!tags.into_iter().any(|tag| tag.contains(active)), "{active}");
    }
    assert!(!text.contains("@import") && !text.contains("http:") && !text.contains("https:"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let head = send(app.request("HEAD", "/oauth/errors")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let post = send(app.request("POST", "/oauth/errors")).await;
    post.assert_error(405, "invalid_request");
    assert_eq!(post.header("allow"), Some("GET, HEAD"));
}

#[tokio::test]
async fn metadata_omits_disabled_endpoints() {
    let app = AppBuilder::default()
        .set("server.public_url", "https://id.example")
        .set("oauth.introspection_url", "false")
        .set("oauth.revocation_url", "false")
        .set("oauth.grants", "password")
        .spawn()
        .await;
    let path = "/.well-known/oauth-authorization-server";
    let introspected = send(app.request("GET", path)).await.json();
    let names: Vec<_> = introspected.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "grant_types_supported",
            "issuer",
            "response_types_supported",
            "token_endpoint",
            "token_endpoint_auth_methods_supported"
        ]
    );
    assert_eq!(introspected["grant_types_supported"], serde_json::json!(["password"]));
    assert_eq!(send(app.request("HEAD", path)).await.status, 200);
    let post = send(app.request("POST", path)).await;
    post.assert_error(405, "invalid_request");
    // The metadata of an issuer without a path has a single URL.
    for elsewhere in [format!("{path}/"), format!("{path}/other"), format!("/team{path}")] {
        assert_eq!(send(app.request("GET", &elsewhere)).await.status, 404, "{elsewhere}");
    }
}

#[tokio::test]
async fn probes_return_200_for_get_and_head() {
    let app = spawn_app().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(app.request("GET", path)).await.status, 200);
        assert_eq!(send(app.request("POST", path)).await.header("allow"), Some("GET, HEAD"));
        assert_eq!(send(app.request("HEAD", path)).await.status, 200);
    }
}
