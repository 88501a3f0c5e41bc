//! The verify endpoint, which proxies ask before they forward a request.

use crate::helpers::{App, AppBuilder, PASSWORD, Process, TestResponse, send, spawn_app};

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
async fn verify_of_an_active_token_is_200_with_identity_headers() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let answer = app.verify(&tokens.access_token(), "").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("x-auth-user-id"), Some(app.user.id.to_string().as_str()));
    assert_eq!(answer.header("x-auth-username"), Some("alice"));
    assert_eq!(answer.header("x-auth-client-id"), Some(app.client.id.as_str()));
    assert_eq!(answer.header("x-auth-scope"), Some("read write"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn verify_of_a_token_without_user_or_scope_has_empty_headers() {
    let app = spawn_app().await;
    let token = token_without_user(&app).await;
    let answer = app.verify(&token, "").await;
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
    let user = (answer.header("x-auth-user-id"), answer.header("x-auth-username"));
    assert_eq!(user, (Some(""), Some("")));
    assert_eq!(answer.header("x-auth-client-id"), Some(app.backend.id.as_str()));

    app.limit_user("").await;
    let answer = app.verify(&app.login().await.access_token(), "").await;
    assert_eq!((answer.status, answer.header("x-auth-scope")), (200, Some("")));
}

async fn token_without_user(app: &App) -> String {
    let form = [("grant_type", "client_credentials")];
    app.post_as_backend("/oauth/token", &form).await.access_token()
}

#[tokio::test]
async fn verify_with_user_required_refuses_a_token_without_user() {
    let app = spawn_app().await;
    let own = token_without_user(&app).await;
    assert_refusal(&app.verify(&own, "?user=required").await, 403, NO_USER);
    let token = app.login().await.access_token();
    for query in ["?user=required", "?scope=read&user=required", "?user=required&scope=read"] {
        assert_eq!(app.verify(&token, query).await.status, 200, "{query}");
    }
    assert_refusal(&app.verify("x", "?user=required").await, 401, INVALID);
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
async fn verify_with_a_scope_not_granted_is_insufficient_scope() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for query in ["?scope=read", "?scope=write+read", "?scope=read%20write"] {
        assert_eq!(app.verify(&token, query).await.status, 200, "{query}");
    }
    for (query, wanted) in [("?scope=admin", "admin"), ("?scope=read+admin", "admin read")] {
        let answer = app.verify(&token, query).await;
        assert_refusal(&answer, 403, &format!("{INSUFFICIENT}, scope=\"{wanted}\""));
    }
    // Without a valid token, the response reveals nothing about scopes.
    assert_refusal(&app.verify("x", "?scope=admin").await, 401, INVALID);
    assert_refusal(&send(app.request("GET", "/oauth/verify?scope=admin")).await, 401, NONE);
}

/// Exact challenges, which nginx passes on to the client.
const NONE: &str = "Bearer realm=\"sentinel\"";
const INVALID: &str = "Bearer realm=\"sentinel\", error=\"invalid_token\", \
                       error_description=\"the access token is invalid, expired or revoked\"";
const INSUFFICIENT: &str = "Bearer realm=\"sentinel\", error=\"insufficient_scope\", \
                            error_description=\"the access token lacks the required scope\"";
const NO_USER: &str = "Bearer realm=\"sentinel\", error=\"insufficient_scope\", \
                       error_description=\"the access token has no user\"";

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
        let challenge = format!("{INSUFFICIENT}, scope=\"admin\"");
        assert_refusal(&send(insufficient).await, 403, &challenge);
        let good = send(app.request(method, "/oauth/verify").bearer_auth(&token)).await;
        assert_eq!((good.status, good.text.as_str()), (200, ""), "{method}");
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
        assert_eq!(with(format!("{scheme} {token}")).await.status, 200, "{scheme:?}");
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
    let bad = app.request("GET", "/oauth/verify").form(&[("access_token", &token)]);
    assert_refusal(&send(bad.bearer_auth("x")).await, 401, INVALID);
    let good = app.request("GET", "/oauth/verify").form(&[("access_token", "x")]);
    assert_eq!(send(good.bearer_auth(&token)).await.status, 200);
    // The query is that of the proxy's configuration, which contains no token.
    let query = app.verify(&token, &format!("?access_token={token}")).await;
    query.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn verify_decodes_the_scope_parameter_as_a_form_value() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for query in [
        "?",
        "?scope=read+write",
        "?scope=write%20read",
        "?scope=read++write+",
        "?scope=read+read",
        "?scope=%72%65%61%64",
    ] {
        assert_eq!(app.verify(&token, query).await.status, 200, "{query}");
    }
    for (query, wanted) in [
        ("?scope=READ", "READ"),
        ("?scope=rea", "rea"),
        ("?scope=read,write", "read,write"),
        ("?scope=read%2Bwrite", "read+write"),
    ] {
        let answer = app.verify(&token, query).await;
        assert_refusal(&answer, 403, &format!("{INSUFFICIENT}, scope=\"{wanted}\""));
    }
    // The empty scope contains no other.
    app.limit_user("").await;
    let nothing = app.login().await;
    assert_eq!(nothing.text_of("scope"), "");
    let answer = app.verify(&nothing.access_token(), "?scope=read").await;
    assert_refusal(&answer, 403, &format!("{INSUFFICIENT}, scope=\"read\""));
}

#[tokio::test]
async fn verify_with_an_empty_unknown_or_malformed_parameter_is_400_for_every_token() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for query in [
        "scope",
        "scope=",
        "scope=+",
        "scope=%20",
        "scope=%22",
        "scope=%",
        "scope=%zz",
        "scope=%ff",
        "scope=read%00",
        "scope=read%0Awrite",
        "scope=l%C3%A4sen",
        "scope=read&scope=read",
        "scope=read&",
        "&scope=read",
        "scope=read&&user=required",
        "user",
        "user=",
        "user=yes",
        "user=Required",
        "user=required&user=required",
        "Scope=read",
        "scopes=read",
        "%73cope=read",
        "resource=",
        "a=b&scope=read&c=d",
        "&",
        "=",
    ] {
        let request = app.request("GET", &format!("/oauth/verify?{query}"));
        for request in [
            request.try_clone().unwrap().bearer_auth(&token),
            request.try_clone().unwrap().bearer_auth("x"),
            request,
        ] {
            let answer = send(request).await;
            answer.assert_error(400, "invalid_request");
            assert!(answer.text_of("error_description").contains("the proxy"), "{answer:?}");
            assert_eq!(answer.header("x-auth-username"), None, "{query}");
        }
    }
}

#[tokio::test]
async fn verify_refuses_the_query_of_the_caller_of_the_proxy() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    let with = async |query: &str, original: &[&str]| {
        let request = app.request("GET", &format!("/oauth/verify{query}")).bearer_auth(&token);
        let request =
            original.iter().fold(request, |request, uri| request.header("x-forwarded-uri", *uri));
        send(request).await
    };
    for original in [
        &["/api?scope=read"][..],
        &["/?scope=read"],
        &["/api?scope=read#fragment"],
        &["http://a.example/api?scope=read"],
        &["/api", "/api?scope=read"],
        &["/api?scope=read", "/api"],
    ] {
        let answer = with("?scope=read", original).await;
        answer.assert_error(400, "invalid_request");
        let description = answer.text_of("error_description");
        assert!(description.contains("uri /oauth/verify?"), "{description}");
    }
    for original in ["/api", "/api?x=scope=read", "/scope=read", "/api?scope=read&x", "", "?"] {
        assert_eq!(with("?scope=read", &[original]).await.status, 200, "{original}");
    }
    for query in ["", "?"] {
        assert_eq!(with(query, &["/api?scope=admin"]).await.status, 200, "{query}");
        assert_eq!(with(query, &["/api?"]).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn verify_warns_once_about_the_query_and_does_not_log_it() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::serve(folder.path(), &[]);
    for query in ["scope=", "scopes=secret", "user=secret"] {
        let url = format!("http://{}/oauth/verify?{query}", process.address);
        send(reqwest::Client::new().get(url)).await.assert_error(400, "invalid_request");
    }
    process.signal("HUP");
    let lines = process.lines_until("SIGHUP");
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains("verify")).collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert!(warnings[0].contains("WARN"), "{lines:?}");
    assert!(warnings[0].contains("correct it in the configuration of the proxy"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("secret")), "{lines:?}");
}

#[tokio::test]
async fn verify_answers_every_method_in_the_same_way() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer =
            send(app.request(method, "/oauth/verify?scope=read").bearer_auth(&token)).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{method}");
        assert_eq!(answer.header("x-auth-username"), Some("alice"), "{method}");
        let none = send(app.request(method, "/oauth/verify").body("x=1")).await;
        assert_refusal(&none, 401, NONE);
    }
}

#[tokio::test]
async fn path_and_query_below_verify_are_not_read() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for path in [
        "/",
        "/?scope=admin",
        "/api/x?scope=&user=no&resource=y",
        "//",
        "/a%0Ab%ffc%2Fd",
        "/oauth/token",
        "/oauth/management",
        "/healthz",
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let request = || app.request(method, &format!("/oauth/verify{path}"));
            let answer = send(request().bearer_auth(&token)).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{method} {path}");
            assert_eq!(answer.header("x-auth-username"), Some("alice"), "{method} {path}");
            assert_refusal(&send(request()).await, 401, NONE);
        }
    }
    for path in ["/oauth/verify-x", "/oauth/verifyx/y", "/oauth/verif"] {
        let answer = send(app.request("GET", path).bearer_auth(&token)).await;
        answer.assert_error(404, "invalid_request");
    }
}

#[tokio::test]
async fn paths_below_verify_reach_verify_beside_a_management_page_at_the_root() {
    let app = AppBuilder::default()
        .set("management.url", "/")
        .set("oauth.route_prefix", "")
        .set("management.username", "operator")
        .set("management.password", "operators-own-password");
    let app = app.spawn().await;
    let form = [
        ("grant_type", "password"),
        ("client_id", app.client.id.as_str()),
        ("username", "alice"),
        ("password", PASSWORD),
    ];
    let token = app.post("/token", &form).await.access_token();
    let answer = send(app.request("GET", "/verify/users").bearer_auth(&token)).await;
    assert_eq!((answer.status, answer.header("x-auth-username")), (200, Some("alice")));
}
