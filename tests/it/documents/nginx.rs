//! The nginx configuration in `docs/http.md`, in front of Sentinel and an API.

use super::examples::whole;
use super::pages::page;
use crate::examples::nginx_proxy::{Api, nginx, received};
use crate::helpers::authority::Authority;
use crate::helpers::{ExternalProgram, free_port, send, spawn_app};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_nginx_configuration_protects_an_api() {
    let (app, api, port) = (spawn_app().await, Api::start(), free_port());
    let part = page("docs/http.md").joined("nginx");
    let text = whole(&part, &Authority::new())
        .replace("listen 127.0.0.1:1;", &format!("listen 127.0.0.1:{port};"))
        .replace("http://127.0.0.1:8000", &format!("http://127.0.0.1:{}", api.port))
        .replace("http://127.0.0.1:5000", &app.url);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let front = ExternalProgram::start(nginx(folder.path(), &file), port, folder.path());

    let request = || app.http.get(format!("{}/api/x", front.url));
    let none = send(request()).await;
    assert_eq!((none.status, none.challenge().1.starts_with("Bearer")), (401, true), "{none:?}");
    let narrow = app.login_with(&[("scope", "write")]).await.access_token();
    assert_eq!(send(request().bearer_auth(narrow)).await.status, 403);
    assert_eq!(api.calls(), 0);

    let token = app.login().await.access_token();
    let claim = request().header("x-auth-username", "root").header("x-auth-scope", "admin");
    let answer = send(claim.bearer_auth(&token)).await;
    assert_eq!(answer.status, 200, "{answer:?} {}", front.output());
    for (name, value) in [
        ("x-auth-user-id", app.user.id.to_string()),
        ("x-auth-username", "alice".to_owned()),
        ("x-auth-client-id", app.client.id.to_string()),
        ("x-auth-scope", "read write".to_owned()),
    ] {
        assert_eq!(received(&answer, name), [value], "{name}");
    }
    assert!(received(&answer, "authorization").is_empty());
    app.revoke(&token).await;
    assert_eq!(send(request().bearer_auth(&token)).await.status, 401);
}
