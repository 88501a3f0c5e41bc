//! The page at `/`.

use crate::helpers::{App, TestResponse, send};
use crate::management::managed;

async fn get(app: &App, headers: &[(&str, &str)]) -> TestResponse {
    let request = app.request("GET", "/");
    let add = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    send(headers.iter().fold(request, add)).await
}

/// Whether the page has the version and the link to the management page.
fn is_for_this_machine(page: &TestResponse) -> bool {
    assert_eq!(page.status, 200, "{page:?}");
    let has_version = page.text.contains(env!("CARGO_PKG_VERSION"));
    assert_eq!(has_version, page.text.contains("./oauth/management"), "{page:?}");
    has_version
}

#[tokio::test]
async fn landing_page_links_to_the_documents() {
    let app = managed().set("server.public_url", "https://auth.example.org").spawn().await;
    let page = get(&app, &[]).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    for path in ["/.well-known/oauth-authorization-server", "/oauth/errors"] {
        assert!(page.text.contains(&format!("href=\".{path}\"")), "{page:?}");
        assert_eq!(send(app.request("GET", path)).await.status, 200);
    }
    assert_eq!(send(app.request("POST", "/")).await.status, 405);
}

#[tokio::test]
async fn landing_page_links_to_no_endpoint_that_is_off() {
    let app = managed().set("oauth.error_uri", "false").spawn().await;
    let page = get(&app, &[]).await;
    assert!(!page.text.contains("./oauth/errors"), "{page:?}");
    assert!(!page.text.contains(".well-known"), "{page:?}");
}

#[tokio::test]
async fn version_and_management_page_are_shown_on_this_machine_only() {
    let app = managed().spawn().await;
    assert!(is_for_this_machine(&get(&app, &[]).await));
    for header in ["Forwarded", "X-Forwarded-For", "Via"] {
        assert!(!is_for_this_machine(&get(&app, &[(header, "127.0.0.1")]).await), "{header}");
    }
    assert!(!is_for_this_machine(&get(&app, &[("Host", "auth.example.org")]).await));
    for (url, is_local) in [
        ("https://localhost:5000", true),
        ("http://127.0.0.1:5000", true),
        ("https://[::1]", true),
        ("https://auth.example.org", false),
    ] {
        let app = managed().set("server.public_url", url).spawn().await;
        assert_eq!(is_for_this_machine(&get(&app, &[]).await), is_local, "{url}");
    }
}

#[tokio::test]
async fn endpoint_at_root_replaces_landing_page() {
    let app = managed().set("oauth.route_prefix", "").set("management.url", "/").spawn().await;
    assert_eq!(get(&app, &[]).await.status, 401);
    let app = managed().set("oauth.error_uri", "/").spawn().await;
    assert!(get(&app, &[]).await.text.contains("Error codes"));
}
