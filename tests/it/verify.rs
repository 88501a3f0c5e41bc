//! `GET /oauth/verify`: what nginx's `auth_request` is told.

use crate::helpers::{Answer, send, spawn_app};

#[track_caller]
fn assert_bearer_challenge(answer: &Answer, status: u16, error: Option<&str>) {
    assert_eq!(answer.status, status, "{answer:?}");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    match error {
        Some(error) => assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}"),
        None => assert!(!challenge.contains("error"), "{challenge}"),
    }
}

#[tokio::test]
async fn a_bearer_may_pass_and_is_named() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let answer = app.verify(&tokens.access_token(), "").await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(answer.header("x-auth-user-id"), Some(app.user.id.to_string().as_str()));
    assert_eq!(answer.header("x-auth-username"), Some("alice"));
    assert_eq!(answer.header("x-auth-client-id"), Some(app.client.id.as_str()));
    assert_eq!(answer.header("x-auth-scope"), Some("read write"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_client_that_acts_for_itself_has_no_user_headers() {
    let app = spawn_app().await;
    let form = [("grant_type", "client_credentials")];
    let token = app.post_as_backend("/oauth/token", &form).await.access_token();
    let answer = app.verify(&token, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!((answer.header("x-auth-user-id"), answer.header("x-auth-username")), (None, None));
    assert_eq!(answer.header("x-auth-client-id"), Some(app.backend.id.as_str()));
}

#[tokio::test]
async fn names_outside_ascii_are_percent_encoded() {
    let app = spawn_app().await;
    app.rename_user("J\u{f6}rg M").await;
    let token = app.login_as("J\u{f6}rg M", crate::helpers::PASSWORD, &[]).await.access_token();
    let answer = app.verify(&token, "").await;
    assert_eq!(answer.header("x-auth-username"), Some("J%C3%B6rg M"));
}

#[tokio::test]
async fn a_percent_sign_in_a_user_name_cannot_pose_as_an_encoding() {
    let app = spawn_app().await;
    app.rename_user("%61dmin").await;
    let token = app.login_as("%61dmin", crate::helpers::PASSWORD, &[]).await.access_token();
    assert_eq!(app.verify(&token, "").await.header("x-auth-username"), Some("%2561dmin"));
}

#[tokio::test]
async fn without_a_token_no_error_is_named() {
    let app = spawn_app().await;
    assert_bearer_challenge(&send(app.request("GET", "/oauth/verify")).await, 401, None);
    let basic = app.request("GET", "/oauth/verify").basic_auth("a", Some("b"));
    assert_bearer_challenge(&send(basic).await, 401, None);
}

#[tokio::test]
async fn a_token_that_is_no_good_is_invalid() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let bad = [tokens.refresh_token(), "x".to_owned(), String::new(), "a b".to_owned()];
    for token in bad {
        let answer = app.verify(&token, "").await;
        assert_bearer_challenge(&answer, 401, Some("invalid_token"));
    }
    let twice = app.request("GET", "/oauth/verify").bearer_auth(tokens.access_token());
    let twice = send(twice.bearer_auth("x")).await;
    assert_bearer_challenge(&twice, 401, Some("invalid_token"));
    let raw =
        app.request("GET", "/oauth/verify").header("authorization", b"Bearer \xff".as_slice());
    assert_bearer_challenge(&send(raw).await, 401, Some("invalid_token"));
    app.advance(3600);
    let expired = app.verify(&tokens.access_token(), "").await;
    assert_bearer_challenge(&expired, 401, Some("invalid_token"));
}

#[tokio::test]
async fn a_token_in_the_url_is_not_read() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    let answer = send(app.request("GET", &format!("/oauth/verify?access_token={token}"))).await;
    assert_bearer_challenge(&answer, 401, None);
}

#[tokio::test]
async fn a_scope_can_be_asked_for() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for query in ["?scope=read", "?scope=write+read", "?scope=read%20write", "?scope=", "?x=y"] {
        assert_eq!(app.verify(&token, query).await.status, 204, "{query}");
    }
    for query in ["?scope=admin", "?scope=read+admin", "?scope=%22", "?scope=%", "?scope=a&scope=b"]
    {
        let answer = app.verify(&token, query).await;
        assert_bearer_challenge(&answer, 403, Some("insufficient_scope"));
    }
    // Who has no token learns nothing about scopes.
    for query in ["?scope=admin", "?scope=%"] {
        let answer = app.verify("x", query).await;
        assert_bearer_challenge(&answer, 401, Some("invalid_token"));
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let app = spawn_app().await;
    let answer = send(app.request("POST", "/oauth/verify")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
}
