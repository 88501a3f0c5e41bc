//! Tests of cross-origin requests (CORS, Fetch §3.2).

use crate::helpers::{App, TestResponse, send};
use crate::management::{OPERATOR, OPERATOR_PASSWORD, managed};

const OURS: &str = "https://app.example";
const ISSUER: &str = "https://auth.example/tenant";
const PROTOCOL: [&str; 6] = [
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/verify",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/tenant",
];

async fn with_origins(origins: &str) -> App {
    managed().set("cors.allowed_origins", origins).set("server.public_url", ISSUER).spawn().await
}

async fn preflight(app: &App, path: &str, origin: &str) -> TestResponse {
    let request = app.request("OPTIONS", path).header("origin", origin);
    let request = request.header("access-control-request-headers", "authorization");
    send(request.header("access-control-request-method", "POST")).await
}

fn allowed(answer: &TestResponse) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn allowed_origin_gets_cors_headers_on_protocol_endpoints() {
    let app = with_origins("https://other.example,https://app.example").await;
    for path in PROTOCOL {
        let answer = preflight(&app, path, OURS).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path} {answer:?}");
        assert_eq!(allowed(&answer), Some(OURS), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST"));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("authorization, content-type")
        );
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    let form = [("grant_type", "password"), ("client_id", app.client.id.as_str())];
    let request = app.request("POST", "/oauth/token").form(&form).header("origin", OURS);
    let refused = send(request).await;
    refused.assert_error(400, "invalid_request");
    // Scripts can read error responses too.
    assert_eq!(allowed(&refused), Some(OURS));
}

#[tokio::test]
async fn scripts_may_send_the_configured_headers() {
    let app = managed()
        .set("cors.allowed_origins", OURS)
        .set("cors.allowed_headers", "traceparent, X-Requested-With,sentry-trace")
        .set("server.public_url", ISSUER)
        .spawn()
        .await;
    let expected = "authorization, content-type, traceparent, x-requested-with, sentry-trace";
    for path in PROTOCOL {
        let answer = preflight(&app, path, OURS).await;
        assert_eq!(answer.header("access-control-allow-headers"), Some(expected), "{path}");
    }
    let answer = preflight(&app, "/oauth/token", "https://evil.example").await;
    assert_eq!(answer.header("access-control-allow-headers"), None);
}

#[tokio::test]
async fn other_origin_gets_no_cors_headers() {
    let app = with_origins(OURS).await;
    for origin in ["https://evil.example", "https://app.example.evil.example", "null", ""] {
        for path in PROTOCOL {
            let answer = preflight(&app, path, origin).await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path} {answer:?}");
            let about_cors = |name: &str| name.starts_with("access-control-");
            assert!(!answer.headers.keys().any(|name| about_cors(name.as_str())), "{answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        let form = [("grant_type", "password"), ("client_id", app.client.id.as_str())];
        let request = app.request("POST", "/oauth/token").form(&form).header("origin", origin);
        let refused = send(request).await;
        refused.assert_error(400, "invalid_request");
        assert_eq!((allowed(&refused), refused.header("vary")), (None, Some("Origin")));
    }
    // Without `Access-Control-Request-Method`, OPTIONS is not a preflight request.
    let answer = send(app.request("OPTIONS", "/oauth/token").header("origin", OURS)).await;
    answer.assert_error(405, "invalid_request");
}

#[tokio::test]
async fn cors_headers_are_absent_outside_protocol_endpoints() {
    for origins in [OURS, "*"] {
        let app = with_origins(origins).await;
        for path in [
            "/oauth/management",
            "/oauth/management/users",
            "/oauth/management/api/users",
            "/oauth/management/api/openapi.json",
            "/healthz",
            "/nowhere",
        ] {
            assert_eq!(allowed(&preflight(&app, path, OURS).await), None, "{path}");
            let request = app.request("GET", path).header("origin", OURS);
            let answer = send(request.basic_auth(OPERATOR, Some(OPERATOR_PASSWORD))).await;
            assert_eq!(answer.status == 404, path == "/nowhere", "{path} {answer:?}");
            assert_eq!(allowed(&answer), None, "{path} {answer:?}");
        }
    }
}

#[tokio::test]
async fn wildcard_allows_every_origin_and_empty_setting_allows_none() {
    let app = with_origins("*").await;
    assert_eq!(allowed(&preflight(&app, "/oauth/token", OURS).await), Some("*"));
    let app = with_origins("").await;
    let answer = preflight(&app, "/oauth/token", OURS).await;
    answer.assert_error(405, "invalid_request");
    assert_eq!((allowed(&answer), answer.header("vary")), (None, None));
}
