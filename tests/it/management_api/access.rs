//! Access to the API: operator credentials, cross-site requests and methods.

use super::{API, OPERATOR, managed};
use crate::helpers::{TestResponse, send, spawn_app};

/// Every route, and some that do not exist.
const ROUTES: [(&str, &str); 19] = [
    ("GET", "/users"),
    ("POST", "/users"),
    ("GET", "/users/ID"),
    ("PATCH", "/users/ID"),
    ("DELETE", "/users/ID"),
    ("POST", "/users/ID/password"),
    ("GET", "/clients"),
    ("POST", "/clients"),
    ("GET", "/clients/ID"),
    ("PATCH", "/clients/ID"),
    ("DELETE", "/clients/ID"),
    ("POST", "/clients/ID/secret"),
    ("GET", "/sessions"),
    ("DELETE", "/sessions?user=alice"),
    ("GET", "/sessions/ID"),
    ("DELETE", "/sessions/ID"),
    ("GET", "/openapi.json"),
    ("GET", "/nothing"),
    ("PUT", "/users"),
];

#[tokio::test]
async fn every_route_without_operator_credentials_is_401() {
    // The routes are more than an address may fail at.
    let app = managed().set("throttle.enabled", "false").spawn().await;
    app.login().await;
    for (method, route) in ROUTES {
        let path = format!("{API}{}", route.replace("ID", &app.user.id.to_string()));
        let nobody = send(app.request(method, &path)).await;
        nobody.assert_problem(401);
        for (name, password) in [(OPERATOR, "wrong"), ("alice", crate::helpers::PASSWORD)] {
            let refused = send(app.request(method, &path).basic_auth(name, Some(password))).await;
            refused.assert_problem(401);
        }
        let bearer = app.login().await.access_token();
        send(app.request(method, &path).bearer_auth(bearer)).await.assert_problem(401);
    }
    assert!(app.admin.user("alice").await.is_ok());
}

#[tokio::test]
async fn api_without_configured_operator_is_404() {
    let app = spawn_app().await;
    for (method, route) in ROUTES {
        let answer = send(app.request(method, &format!("{API}{route}"))).await;
        answer.assert_error(404, "invalid_request");
    }
}

#[tokio::test]
async fn cross_site_writes_are_refused() {
    let app = managed().spawn().await;
    let delete = |path: &str| app.api("DELETE", path).header("sec-fetch-site", "cross-site");
    send(delete(&app.alice())).await.assert_problem(403);
    send(app.api("POST", "/users").header("origin", "https://evil.example"))
        .await
        .assert_problem(403);
    assert_eq!(app.get(&app.alice()).await.status, 200);
}

#[tokio::test]
async fn unsupported_method_is_405_with_allow() {
    let app = managed().spawn().await;
    let allowed = [
        ("/users", "GET, HEAD, POST"),
        ("/users/x", "GET, HEAD, PATCH, DELETE"),
        ("/users/x/password", "POST"),
        ("/clients", "GET, HEAD, POST"),
        ("/clients/x", "GET, HEAD, PATCH, DELETE"),
        ("/clients/x/secret", "POST"),
        ("/sessions", "GET, HEAD, DELETE"),
        ("/sessions/x", "GET, HEAD, DELETE"),
        ("/openapi.json", "GET, HEAD"),
    ];
    for (path, methods) in allowed {
        for method in ["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "TRACE"] {
            if methods.contains(method) {
                continue;
            }
            let answer: TestResponse = send(app.api(method, path)).await;
            answer.assert_problem(405);
            assert_eq!(answer.header("allow"), Some(methods), "{method} {path}");
        }
    }
    for path in ["", "/", "/nothing", "/users/", "/users/x/y", "/sessions/x/y/z"] {
        app.get(path).await.assert_problem(404);
    }
}

#[tokio::test]
async fn api_path_follows_management_url() {
    let app = managed().set("management.url", "/admin").set("oauth.route_prefix", "/auth");
    let app = app.spawn().await;
    let ask = async |path: &str| {
        let request = app.request("GET", path);
        send(request.basic_auth(OPERATOR, Some(super::OPERATOR_PASSWORD))).await
    };
    assert_eq!(ask("/auth/admin/api/users").await.status, 200);
    assert_eq!(ask("/oauth/management/api/users").await.status, 404);
    let described = ask("/auth/admin/api/openapi.json").await.json();
    assert_eq!(described["servers"][0]["url"], "/auth/admin/api");
}
