//! Access to the management page: operator credentials, rate limiting and cross-site requests.

use super::{OPERATOR, OPERATOR_PASSWORD, managed};
use crate::helpers::{App, TestResponse, send, spawn_app};

const CHALLENGE: &str = "Basic realm=\"sentinel management\", charset=\"UTF-8\"";

/// Paths of pages, of the API, and of neither.
const PATHS: [&str; 6] = ["", "/", "/users", "/api", "/api/users", "/no/such/page"];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[track_caller]
fn assert_protected(answer: &TestResponse) {
    let policy = answer.header("content-security-policy").unwrap();
    for directive in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

async fn ask(app: &App, method: &str, path: &str, headers: &[(&str, &str)]) -> TestResponse {
    let request = app.request(method, &format!("/oauth/management{path}"));
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test]
async fn every_path_without_credentials_is_401() {
    let app = managed().spawn().await;
    for path in PATHS {
        for method in METHODS {
            let answer = ask(&app, method, path, &[]).await;
            assert_eq!(answer.challenge(), (401, CHALLENGE), "{method} {path}");
            assert_protected(&answer);
        }
    }
}

#[tokio::test]
async fn every_path_with_wrong_credentials_is_401() {
    let app = managed().set("throttle.enabled", "false").spawn().await;
    let wrong = [
        (OPERATOR, "wrong"),
        (OPERATOR, ""),
        ("", OPERATOR_PASSWORD),
        ("OP", OPERATOR_PASSWORD),
        ("op ", OPERATOR_PASSWORD),
        ("alice", crate::helpers::PASSWORD),
    ];
    for path in PATHS {
        for (name, password) in wrong {
            let request = app.request("POST", &format!("/oauth/management{path}"));
            let answer = send(request.basic_auth(name, Some(password))).await;
            assert_eq!(answer.challenge(), (401, CHALLENGE), "{name} {path}");
            assert_protected(&answer);
        }
        for header in ["", "Basic", "Basic !", "Bearer x", "basic b3A6d3Jvbmc=", "Basic /////w=="] {
            let answer = ask(&app, "GET", path, &[("authorization", header)]).await;
            assert_eq!(answer.challenge(), (401, CHALLENGE), "{header} {path}");
        }
    }
}

#[tokio::test]
async fn operator_login_failures_are_limited_per_address() {
    let app = managed()
        .set("server.trusted_proxies", "127.0.0.1")
        .set("throttle.failures_per_user", "1000")
        .spawn()
        .await;
    let guess = async |from: &str, path: &str, password: &str| {
        let request = app.request("GET", &format!("/oauth/management{path}"));
        let request = request.basic_auth(OPERATOR, Some(password));
        send(request.header("x-forwarded-for", from)).await
    };
    for number in 0..20 {
        assert_eq!(guess("192.0.2.1", "", &format!("wrong-{number}")).await.status, 401);
    }
    for (path, kind) in
        [("", "text/html; charset=utf-8"), ("/api/users", "application/problem+json")]
    {
        for password in ["wrong", OPERATOR_PASSWORD] {
            let answer = guess("192.0.2.1", path, password).await;
            assert_eq!(answer.status, 429, "{path}");
            assert_eq!(answer.header("retry-after"), Some("300"));
            assert_eq!(answer.header("content-type"), Some(kind));
            assert_protected(&answer);
        }
    }
    // A request without credentials is not a guess, and other addresses are not affected.
    assert_eq!(send(app.request("GET", "/oauth/management")).await.status, 401);
    assert_eq!(guess("192.0.2.2", "", OPERATOR_PASSWORD).await.status, 200);
    app.advance(300);
    assert_eq!(guess("192.0.2.1", "", OPERATOR_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn refused_requests_get_pages_that_need_no_other_resource() {
    let app = managed().set("throttle.failures_per_user", "1").spawn().await;
    let wrong = app.request("GET", "/oauth/management/users");
    let wrong = send(wrong.basic_auth(OPERATOR, Some("wrong"))).await;
    let none = ask(&app, "GET", "", &[]).await;
    let cross = ask(&app, "POST", "", &[("origin", "https://evil.example")]).await;
    let text = "management.username and management.password";
    for (answer, status, text) in
        [(wrong, 401, text), (none, 401, text), (cross, 403, "Nothing was changed")]
    {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_protected(&answer);
        assert!(answer.header("content-security-policy").unwrap().contains("style-src 'sha256-"));
        let html = &answer.text;
        assert!(html.contains("<title>Error: ") && html.contains(text), "{html}");
        let version = env!("CARGO_PKG_VERSION");
        assert!(!html.contains("href=") && !html.contains("src=") && !html.contains(version));
    }
}

#[tokio::test]
async fn client_and_operator_credentials_are_not_interchangeable() {
    let app = managed().spawn().await;
    let client = app.request("GET", "/oauth/management");
    let answer = send(client.basic_auth(app.backend.id.as_str(), Some(&app.backend_secret))).await;
    assert_eq!(answer.status, 401);
    let operator = app.request("POST", "/oauth/introspect").form(&[("token", "x")]);
    let answer = send(operator.basic_auth(OPERATOR, Some(OPERATOR_PASSWORD))).await;
    answer.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn unknown_path_with_operator_credentials_is_404() {
    let app = managed().spawn().await;
    for path in ["/no/such/page", "/api/no/such/thing"] {
        let answer = send(app.operate("GET", path)).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_protected(&answer);
    }
}

#[tokio::test]
async fn management_without_configured_credentials_is_404() {
    let app = spawn_app().await;
    for path in PATHS {
        let answer = send(app.operate("GET", path)).await;
        answer.assert_error(404, "invalid_request");
        assert_eq!(answer.header("www-authenticate"), None);
    }
}

#[tokio::test]
async fn management_path_can_be_changed_and_disabled() {
    let off = managed().set("management.url", "false").spawn().await;
    send(off.operate("GET", "")).await.assert_error(404, "invalid_request");

    let moved = managed().set("oauth.route_prefix", "/auth").set("management.url", "/desk");
    let moved = moved.spawn().await;
    assert_eq!(send(moved.request("GET", "/auth/desk")).await.status, 401);
    assert_eq!(send(moved.request("GET", "/auth/desk/x")).await.status, 401);
    for elsewhere in ["/auth/deskx", "/auth/management", "/oauth/management", "/desk"] {
        send(moved.request("GET", elsewhere)).await.assert_error(404, "invalid_request");
    }

    // At the root, the page handles all paths that no other endpoint handles.
    let root = managed().set("oauth.route_prefix", "").set("management.url", "/").spawn().await;
    assert_eq!(send(root.request("GET", "/")).await.status, 401);
    assert_eq!(send(root.request("GET", "/anything")).await.status, 401);
    assert_eq!(send(root.request("GET", "/healthz")).await.status, 200);
    root.post("/token", &[]).await.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn cross_site_writes_are_refused() {
    let app = managed().spawn().await;
    let host = app.url.trim_start_matches("http://").to_owned();
    let own = app.url.as_str();
    let refused: [&[(&str, &str)]; 10] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "")],
        &[("sec-fetch-site", "cross-site"), ("origin", own)],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", &format!("http://{host}.evil.example"))],
        // Proxy that is not trusted.
        &[("origin", "https://auth.example"), ("x-forwarded-host", "auth.example")],
    ];
    for headers in refused {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            for path in PATHS {
                let mut headers = headers.to_vec();
                let answer = ask(&app, method, path, &headers).await;
                assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
                assert_protected(&answer);
                headers.push(("authorization", "Basic b3A6cDrDpCBzc/CflJF3b3Jk"));
                let answer = ask(&app, method, path, &headers).await;
                assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
            }
        }
        // A link to the page works from any site.
        let mut headers = headers.to_vec();
        headers.push(("authorization", "Basic b3A6cDrDpCBzc/CflJF3b3Jk"));
        assert_eq!(ask(&app, "GET", "/no/such/page", &headers).await.status, 404);
    }
}

#[tokio::test]
async fn same_origin_and_non_browser_writes_are_accepted() {
    let app = managed()
        .set("server.public_url", "https://auth.example/sentinel")
        .set("server.trusted_proxies", "127.0.0.1")
        .spawn()
        .await;
    let own = app.url.as_str();
    let passes: [&[(&str, &str)]; 7] = [
        &[],
        &[("sec-fetch-site", "same-origin"), ("origin", own)],
        &[("sec-fetch-site", "none")],
        &[("origin", own)],
        // Behind a proxy that adds TLS: by `public_url`, by the `Host` that is passed on, or by
        // `X-Forwarded-Host`.
        &[("origin", "https://auth.example")],
        &[("origin", "https://other.example"), ("host", "other.example")],
        &[("origin", "https://proxied.example:444"), ("x-forwarded-host", "proxied.example:444")],
    ];
    for headers in passes {
        let request = app.operate("POST", "/no/such/page");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        assert_eq!(send(request).await.status, 404, "{headers:?}");
    }
}

#[tokio::test]
async fn refused_api_requests_are_problem_details() {
    let app = managed().spawn().await;
    let answer = ask(&app, "GET", "/api/users", &[]).await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(
        (problem["title"].as_str(), problem["status"].as_u64()),
        (Some("Unauthorized"), Some(401))
    );
    let answer = ask(&app, "POST", "/api/users", &[("origin", "null")]).await;
    assert_eq!((answer.json()["status"].as_u64(), answer.status), (Some(403), 403));
}

/// Metrics, the audit log and the access rules of a proxy see the path as it was sent.
#[tokio::test]
async fn percent_encoded_route_is_404() {
    let app = managed().spawn().await;
    for path in [
        "/oauth/%6danagement",
        "/%6Fauth/management",
        "/oauth/%6danagement/users",
        "/oauth/management/%75sers",
        "/oauth/management/%61pi/users",
        "/oauth/management/api/user%73",
        "/oauth%2fmanagement",
        "/oauth/%74oken",
        "/oauth/verif%79",
        "/%72eadyz",
        "/oauth/management/%",
    ] {
        for method in ["GET", "POST"] {
            let request = app.request(method, path).basic_auth(OPERATOR, Some(OPERATOR_PASSWORD));
            let answer = send(request).await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn percent_encoded_id_in_path_is_decoded() {
    let app = managed().spawn().await;
    let id = app.client.id.as_str();
    let encoded: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for path in [format!("/api/clients/{encoded}"), format!("/clients/{encoded}")] {
        let answer = send(app.operate("GET", &path)).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.text.contains(id), "{path}");
    }
}
