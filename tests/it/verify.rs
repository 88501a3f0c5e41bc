//! `GET /oauth/verify`, the endpoint for nginx's `auth_request`.

use crate::helpers::{TestResponse, send, spawn_app};

#[track_caller]
fn assert_bearer_challenge(answer: &TestResponse, status: u16, error: Option<&str>) {
    assert_eq!(answer.status, status, "{answer:?}");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    match error {
        Some(error) => assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}"),
        None => assert!(!challenge.contains("error"), "{challenge}"),
    }
}

#[tokio::test]
async fn verify_of_an_active_token_is_204_with_identity_headers() {
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
async fn verify_of_a_client_credentials_token_has_no_user_headers() {
    let app = spawn_app().await;
    let form = [("grant_type", "client_credentials")];
    let token = app.post_as_backend("/oauth/token", &form).await.access_token();
    let answer = app.verify(&token, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!((answer.header("x-auth-user-id"), answer.header("x-auth-username")), (None, None));
    assert_eq!(answer.header("x-auth-client-id"), Some(app.backend.id.as_str()));
}

#[tokio::test]
async fn non_ascii_username_header_is_percent_encoded() {
    let app = spawn_app().await;
    app.rename_user("J\u{f6}rg M").await;
    let token = app.login_as("J\u{f6}rg M", crate::helpers::PASSWORD, &[]).await.access_token();
    let answer = app.verify(&token, "").await;
    assert_eq!(answer.header("x-auth-username"), Some("J%C3%B6rg M"));
}

#[tokio::test]
async fn percent_sign_in_username_header_is_percent_encoded() {
    let app = spawn_app().await;
    app.rename_user("%61dmin").await;
    let token = app.login_as("%61dmin", crate::helpers::PASSWORD, &[]).await.access_token();
    assert_eq!(app.verify(&token, "").await.header("x-auth-username"), Some("%2561dmin"));
}

#[tokio::test]
async fn verify_without_a_token_is_401_without_an_error_attribute() {
    let app = spawn_app().await;
    assert_bearer_challenge(&send(app.request("GET", "/oauth/verify")).await, 401, None);
    let basic = app.request("GET", "/oauth/verify").basic_auth("a", Some("b"));
    assert_bearer_challenge(&send(basic).await, 401, None);
}

#[tokio::test]
async fn verify_of_a_malformed_or_expired_token_is_invalid_token() {
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
async fn verify_ignores_a_token_in_the_url() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    let answer = send(app.request("GET", &format!("/oauth/verify?access_token={token}"))).await;
    assert_bearer_challenge(&answer, 401, None);
}

#[tokio::test]
async fn verify_with_a_scope_not_granted_is_insufficient_scope() {
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
    // Without a valid token, the response reveals nothing about scopes.
    for query in ["?scope=admin", "?scope=%"] {
        let answer = app.verify("x", query).await;
        assert_bearer_challenge(&answer, 401, Some("invalid_token"));
    }
}

/// Exact challenges, which nginx passes on to the client.
const NONE: &str = "Bearer realm=\"sentinel\"";
const INVALID: &str = "Bearer realm=\"sentinel\", error=\"invalid_token\", \
                       error_description=\"the access token is invalid, expired or revoked\"";
const INSUFFICIENT: &str = "Bearer realm=\"sentinel\", error=\"insufficient_scope\", \
                            error_description=\"the access token lacks the required scope\"";

/// Asserts status, all headers and the empty body of a refusal.
#[track_caller]
fn assert_refusal(answer: &TestResponse, status: u16, challenge: &str) {
    assert_eq!((answer.status, answer.text.as_str()), (status, ""), "{answer:?}");
    let names = answer.headers.keys().map(|name| name.as_str());
    // If the request has a body, which is not read, the connection is closed.
    let mut names: Vec<_> = names.filter(|name| *name != "connection").collect();
    names.sort_unstable();
    let expected = ["cache-control", "content-length", "date", "www-authenticate", "x-request-id"];
    assert_eq!(names, expected);
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), 1);
}

#[tokio::test]
async fn verify_refusal_has_one_challenge_and_no_body() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for method in ["GET", "HEAD"] {
        let none = send(app.request(method, "/oauth/verify")).await;
        assert_refusal(&none, 401, NONE);
        let invalid = app.request(method, "/oauth/verify").bearer_auth("x");
        assert_refusal(&send(invalid).await, 401, INVALID);
        let insufficient = app.request(method, "/oauth/verify?scope=admin").bearer_auth(&token);
        assert_refusal(&send(insufficient).await, 403, INSUFFICIENT);
        let good = send(app.request(method, "/oauth/verify").bearer_auth(&token)).await;
        assert_eq!((good.status, good.text.as_str()), (204, ""), "{method}");
        assert_eq!(good.header("x-auth-username"), Some("alice"), "{method}");
        assert_eq!(good.header("www-authenticate"), None, "{method}");
    }
}

#[tokio::test]
async fn bearer_scheme_is_case_insensitive() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    let with =
        |header: String| send(app.request("GET", "/oauth/verify").header("authorization", header));
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer ", "bearer   "] {
        assert_eq!(with(format!("{scheme} {token}")).await.status, 204, "{scheme:?}");
    }
    // Another scheme presents no bearer token, whatever follows it.
    for other in ["Basic", "Bear", "Bearers", "Token", "DPoP"] {
        assert_refusal(&with(format!("{other} {token}")).await, 401, NONE);
    }
    assert_refusal(&with(token.clone()).await, 401, NONE);
    for bad in [
        "Bearer".to_owned(),
        format!("Bearer {token},"),
        format!("Bearer {token} {token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer token={token}"),
        format!("Bearer Bearer {token}"),
    ] {
        assert_refusal(&with(bad).await, 401, INVALID);
    }
}

#[tokio::test]
async fn verify_with_several_authorization_headers_is_invalid_token() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    let good = format!("Bearer {token}");
    let pairs = [
        [good.as_str(), &good],
        [&good, "Bearer x"],
        ["Bearer x", &good],
        [&good, "Basic YTpi"],
        ["Basic YTpi", &good],
        ["", &good],
    ];
    for [first, second] in pairs {
        let request = app.request("GET", "/oauth/verify").header("authorization", first);
        let answer = send(request.header("authorization", second)).await;
        assert_refusal(&answer, 401, INVALID);
    }
}

#[tokio::test]
async fn verify_reads_the_token_from_the_authorization_header_only() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    // The methods of RFC 6750 §2.2 (form body) and §2.3 (URI query) are not supported here.
    let body = app.request("GET", "/oauth/verify").form(&[("access_token", &token)]);
    assert_refusal(&send(body).await, 401, NONE);
    let cookie = app.request("GET", "/oauth/verify").header("cookie", format!("token={token}"));
    assert_refusal(&send(cookie).await, 401, NONE);
    // Beside an `Authorization` header they are ignored.
    let path = format!("/oauth/verify?access_token={token}");
    let bad = app.request("GET", &path).form(&[("access_token", &token)]).bearer_auth("x");
    assert_refusal(&send(bad).await, 401, INVALID);
    let good = app.request("GET", "/oauth/verify?access_token=x").form(&[("access_token", "x")]);
    assert_eq!(send(good.bearer_auth(&token)).await.status, 204);
}

#[tokio::test]
async fn verify_decodes_the_scope_parameter_as_a_form_value() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for query in [
        "?",
        "?scope",
        "?scope=+",
        "?scope=%20",
        "?scope=read+write",
        "?scope=write%20read",
        "?scope=read++write+",
        "?scope=read+read",
        "?scope=%72%65%61%64",
        "?a=b&scope=read&c=d",
    ] {
        assert_eq!(app.verify(&token, query).await.status, 204, "{query}");
    }
    for query in [
        "?scope=READ",
        "?scope=rea",
        "?scope=read,write",
        "?scope=read%2Bwrite",
        "?scope=read%00",
        "?scope=read%0Awrite",
        "?scope=%ff",
        "?scope=%zz",
        "?scope=read&scope=read",
        "?scope=l%C3%A4sen",
    ] {
        assert_refusal(&app.verify(&token, query).await, 403, INSUFFICIENT);
    }
    // The empty scope is contained in every scope, and contains no other.
    app.limit_user("").await;
    let nothing = app.login().await;
    assert_eq!(nothing.text_of("scope"), "");
    let answer = app.verify(&nothing.access_token(), "").await;
    assert_eq!((answer.status, answer.header("x-auth-scope")), (204, Some("")));
    let answer = app.verify(&nothing.access_token(), "?scope=read").await;
    assert_refusal(&answer, 403, INSUFFICIENT);
}

#[tokio::test]
async fn verify_with_another_method_is_405_with_a_json_error() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = send(app.request(method, "/oauth/verify").bearer_auth(&token)).await;
        answer.assert_error(405, "invalid_request");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
        assert_eq!(answer.header("x-auth-username"), None, "{method}");
    }
}
