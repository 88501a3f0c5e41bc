//! `examples/nginx` with each of its two configuration files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::nginx_proxy::{NginxProxy, copy, nginx, received};
use crate::helpers::{AppBuilder, ExternalProgram, UnresponsiveServer, free_port, send, spawn_app};

const BOTH: [&str; 2] = ["nginx.conf", "nginx-cached.conf"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_receives_verified_identity_and_no_forged_headers() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    for file in BOTH {
        let front = NginxProxy::of(file, &app);
        let body = "a=1&b=\u{fc}\n".repeat(20_000);
        for _ in 0..2 {
            let request = front.request("POST", "/api/x?y=1&scope=none").bearer_auth(&token);
            let request = request
                .header("x-auth-user-id", "000000000000000000000000")
                .header("X-AUTH-USERNAME", "root")
                .header("x_auth_username", "root")
                .header("x-auth-client-id", "mine")
                .header("x-auth-scope", "admin")
                .header("x-forwarded-for", "203.0.113.9");
            let answer = send(request.body(body.clone())).await;
            assert_eq!(answer.status, 200, "{answer:?} {}", front.nginx.output());
            assert_eq!(received(&answer, "x-auth-user-id"), [app.user.id.to_string()]);
            assert_eq!(received(&answer, "x-auth-username"), ["alice"]);
            assert_eq!(received(&answer, "x-auth-client-id"), [app.client.id.as_str()]);
            assert_eq!(received(&answer, "x-auth-scope"), ["read write"]);
            assert_eq!(received(&answer, "x-forwarded-for"), ["127.0.0.1"]);
            for name in ["x_auth_username", "authorization"] {
                assert!(received(&answer, name).is_empty(), "{name}");
            }
            let json = answer.json();
            assert_eq!(
                (&json["method"], &json["uri"]),
                (&"POST".into(), &"/api/x?y=1&scope=none".into())
            );
            assert_eq!(json["body"], body);
        }
        // A client credentials token has no user, and its client cannot claim one.
        let own =
            app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;
        let request = front.request("GET", "/api/x").bearer_auth(own.access_token());
        let answer =
            send(request.header("x-auth-user-id", "0").header("x-auth-username", "root")).await;
        assert!(received(&answer, "x-auth-user-id").is_empty(), "{answer:?}");
        assert!(received(&answer, "x-auth-username").is_empty(), "{answer:?}");
        assert_eq!(received(&answer, "x-auth-client-id"), [app.backend.id.as_str()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_requests_do_not_reach_api() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    for file in BOTH {
        let front = NginxProxy::of(file, &app);
        let answer = send(front.request("GET", "/api/x")).await;
        assert_eq!(answer.status, 401);
        let none = answer.header("www-authenticate").unwrap();
        assert!(none.starts_with("Bearer") && !none.contains("error"), "{none}");
        for bad in ["x", "", tokens.refresh_token().as_str()] {
            let answer = front.get("/api/x", bad).await;
            let (status, challenge) = answer.challenge();
            assert!(status == 401 && challenge.contains("error=\"invalid_token\""), "{answer:?}");
        }
        // A cached success for one location must not open another one.
        assert_eq!(front.get("/api/x", &tokens.access_token()).await.status, 200);
        let before = front.api.calls();
        let answer = front.get("/api/admin/x", &tokens.access_token()).await;
        let (status, challenge) = answer.challenge();
        assert!(status == 403 && challenge.contains("error=\"insufficient_scope\""), "{answer:?}");
        assert_eq!(front.api.calls(), before);

        let admin = app.login_with(&[("scope", "read admin")]).await.access_token();
        assert_eq!(front.get("/api/admin/x", &admin).await.status, 200);
        let other = front.get("/api/admin/x", &tokens.access_token()).await;
        assert_eq!(other.status, 403);
        // Error responses of the API itself pass unchanged.
        for status in [401, 403, 404, 500, 503] {
            let answer = front.get(&format!("/api/status/{status}"), &admin).await;
            assert_eq!((answer.status, answer.text.as_str()), (status, "the API's own"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_token_is_refused_at_next_request() {
    let app = spawn_app().await;
    let front = NginxProxy::of("nginx.conf", &app);
    let token = app.login().await.access_token();
    assert_eq!(front.get("/api/x", &token).await.status, 200);
    app.revoke(&token).await;
    assert_eq!(front.get("/api/x", &token).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_token_is_accepted_from_cache_for_short_time_only() {
    let app = spawn_app().await;
    let front = NginxProxy::of("nginx-cached.conf", &app);
    let (token, other) = (app.login().await.access_token(), app.login().await.access_token());
    // The cache does keep responses; otherwise the assertions below would show nothing.
    let mut kept = false;
    for _ in 0..20 {
        let token = app.login().await.access_token();
        assert_eq!(front.get("/api/x", &token).await.status, 200);
        app.revoke(&token).await;
        kept |= front.get("/api/x", &token).await.status == 200;
    }
    assert!(kept, "nothing is ever kept");

    assert_eq!(front.get("/api/x", &token).await.status, 200);
    app.revoke(&token).await;
    app.revoke(&other).await;
    assert_eq!(front.get("/api/x", &other).await.status, 401);
    let revoked = Instant::now();
    while front.get("/api/x", &token).await.status != 401 {
        assert!(revoked.elapsed() < Duration::from_secs(3), "it is let through for too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unavailable_sentinel_is_503() {
    for file in BOTH {
        let app = spawn_app().await;
        let token = app.login().await.access_token();
        let front = NginxProxy::of(file, &app);
        let bind = app.url.trim_start_matches("http://").to_owned();
        let folder = Arc::clone(&app.folder);
        app.stop().await;
        front.assert_unavailable(&token).await;
        let form = [("grant_type", "password")];
        let answer = send(front.request("POST", "/oauth/token").form(&form)).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
        let _app = AppBuilder::default().set("server.bind", &bind).on(&folder).spawn().await;
        let deadline = Instant::now() + Duration::from_secs(15);
        while front.get("/api/x", &token).await.status != 200 {
            assert!(Instant::now() < deadline, "it does not come back");
        }

        let silent = UnresponsiveServer::start();
        let front = NginxProxy::start(file, &format!("http://127.0.0.1:{}", silent.port()));
        let begin = Instant::now();
        front.assert_unavailable(&token).await;
        assert!(begin.elapsed() < Duration::from_secs(8));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_exposes_public_endpoints_of_sentinel_only() {
    let app = spawn_app().await;
    let front = NginxProxy::of("nginx.conf", &app);
    let id = app.client.id.as_str();
    let post = async |path: &str, form: &[(&str, &str)]| {
        send(front.request("POST", path).form(&form)).await
    };
    let login = [
        ("grant_type", "password"),
        ("client_id", id),
        ("username", "alice"),
        ("password", crate::helpers::PASSWORD),
    ];
    let tokens = post("/oauth/token", &login).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    tokens.assert_uncacheable_json();
    let refresh = tokens.refresh_token();
    let form = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", &refresh)];
    let tokens = post("/oauth/token", &form).await;
    let access = tokens.access_token();
    assert_eq!(front.get("/api/x", &access).await.status, 200);
    let form = [("client_id", id), ("token", &tokens.refresh_token())];
    assert_eq!(post("/oauth/revoke", &form).await.status, 200);
    assert_eq!(front.get("/api/x", &access).await.status, 401);
    // Error responses of Sentinel pass unchanged.
    post("/oauth/token", &[]).await.assert_error(400, "invalid_request");
    assert_eq!(send(front.request("GET", "/oauth/errors")).await.status, 200);

    for path in
        ["/", "/_verify", "/oauth/verify", "/oauth/introspect", "/oauth/management", "/readyz"]
    {
        for method in ["GET", "POST"] {
            let request = front.request(method, path);
            let request = request.basic_auth(app.backend.id.as_str(), Some(&app.backend_secret));
            let answer = send(request).await;
            assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sample_api_echoes_verified_identity() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    let (folder, port, api) = (tempfile::tempdir().unwrap(), free_port(), free_port());
    copy(folder.path(), port, api, &app.url);
    let file = folder.path().join("nginx.conf");
    let server = ExternalProgram::start(nginx(folder.path(), &file), port, folder.path());
    let request = app.http.get(format!("{}/api/x", server.url)).bearer_auth(&token);
    let expected = format!("GET /api/x as alice ({}), scope read write\n", app.user.id);
    assert_eq!(send(request).await.text, expected, "{}", server.output());
}
