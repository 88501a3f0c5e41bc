//! Rules for a resource server in any programming language (RFC 6750, RFC 7662).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::helpers::{
    App, AppBuilder, ExternalProgram, TestResponse, UnresponsiveServer, free_port, send, spawn_app,
};

/// Running example.
struct Running {
    server: ExternalProgram,
    http: reqwest::Client,
    _folder: TempDir,
}

/// Function that returns the command to start an example on a port.
pub type Program = fn(u16) -> Command;

impl Running {
    /// Starts the example, which introspects at `url` as the confidential client of `app`.
    fn start(program: Program, app: &App, url: &str, secret: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = program(port);
        command.env("INTROSPECTION_URL", format!("{url}/oauth/introspect"));
        command.env("CLIENT_ID", app.backend.id.as_str()).env("CLIENT_SECRET", secret);
        let server = ExternalProgram::start(command, port, folder.path());
        Self { server, http: app.http.clone(), _folder: folder }
    }

    fn of(program: Program, app: &App) -> Self {
        Self::start(program, app, &app.url, &app.backend_secret)
    }

    async fn me(&self, authorization: Option<&str>) -> TestResponse {
        let request = self.http.get(format!("{}/me", self.server.url));
        send(match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        })
        .await
    }

    async fn with(&self, token: &str) -> TestResponse {
        self.me(Some(&format!("Bearer {token}"))).await
    }

    async fn add_note(&self, token: &str, note: &str) -> TestResponse {
        let request = self.http.post(format!("{}/notes", self.server.url));
        send(request.bearer_auth(token).body(note.to_owned())).await
    }
}

const NO_TOKEN: (u16, &str) = (401, "Bearer realm=\"notes\"");
const BAD_TOKEN: (u16, &str) = (401, "Bearer realm=\"notes\", error=\"invalid_token\"");

pub async fn token_identifies_user_and_client(program: Program) {
    let app = spawn_app().await;
    let api = Running::of(program, &app);
    let token = app.login().await.access_token();
    let (id, client) = (app.user.id.to_string(), app.client.id.as_str());
    let me = serde_json::json!({"id": id, "username": "alice", "client": client});
    for authorization in [format!("Bearer {token}"), format!("bEARER  {token}")] {
        let answer = api.me(Some(&authorization)).await;
        assert_eq!((answer.status, answer.json()), (200, me.clone()), "{}", api.server.output());
    }
    let note = "note \u{fc} & more=\n".repeat(500);
    let answer = api.add_note(&token, &note).await;
    assert_eq!(answer.status, 201, "{}", api.server.output());
    assert_eq!(answer.json(), serde_json::json!({"by": id, "note": note}));

    let own = app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;
    let answer = api.with(&own.access_token()).await;
    let backend = app.backend.id.as_str();
    let itself = serde_json::json!({"id": backend, "username": null, "client": backend});
    assert_eq!((answer.status, answer.json()), (200, itself));
}

pub async fn requests_without_active_access_token_are_refused(program: Program) {
    let app = spawn_app().await;
    let api = Running::of(program, &app);
    let tokens = app.login().await;
    for authorization in [None, Some("Basic YTpi"), Some("")] {
        assert_eq!(api.me(authorization).await.challenge(), NO_TOKEN, "{authorization:?}");
    }
    let refresh = tokens.refresh_token();
    let doubled = format!("{0}, Bearer {0}", tokens.access_token());
    for token in ["", "x", "a&token=b", "\u{fc}", refresh.as_str(), doubled.as_str()] {
        assert_eq!(api.with(token).await.challenge(), BAD_TOKEN, "{token:?}");
    }
    // Only the `Authorization` header counts.
    let url = format!("{}/me?access_token={}", api.server.url, tokens.access_token());
    assert_eq!(send(app.http.get(url)).await.challenge(), NO_TOKEN);

    assert_eq!(api.with(&tokens.access_token()).await.status, 200);
    app.revoke(&tokens.access_token()).await;
    assert_eq!(api.with(&tokens.access_token()).await.challenge(), BAD_TOKEN);
}

pub async fn token_without_required_scope_is_403(program: Program) {
    let app = spawn_app().await;
    let api = Running::of(program, &app);
    let narrow = app.login_with(&[("scope", "read")]).await.access_token();
    assert_eq!(api.with(&narrow).await.status, 200);
    let answer = api.add_note(&narrow, "x").await;
    let wanted = "Bearer realm=\"notes\", error=\"insufficient_scope\", scope=\"read write\"";
    assert_eq!(answer.challenge(), (403, wanted));
}

/// Without an answer from Sentinel, a resource server accepts no token and calls none invalid.
pub async fn unavailable_introspection_is_503(program: Program) {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    let unavailable = |answer: &TestResponse| {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")), "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), None);
    };
    let misconfigured = Running::start(program, &app, &app.url, "wrong");
    unavailable(&misconfigured.with(&token).await);

    let nobody = Running::start(program, &app, &format!("http://127.0.0.1:{}", free_port()), "x");
    unavailable(&nobody.with(&token).await);
    assert_eq!(nobody.me(None).await.challenge(), NO_TOKEN);

    let silent = UnresponsiveServer::start();
    let url = format!("http://127.0.0.1:{}", silent.port());
    let hanging = Running::start(program, &app, &url, "x");
    let begin = Instant::now();
    unavailable(&hanging.with(&token).await);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());

    // Sentinel stops while the example holds a connection to it, and starts again.
    let port = free_port().to_string();
    let bind = format!("127.0.0.1:{port}");
    let first = AppBuilder::default().set("server.bind", &bind).on(&app.folder).spawn().await;
    let api = Running::of(program, &first);
    assert_eq!(api.with(&token).await.status, 200);
    first.stop().await;
    unavailable(&api.with(&token).await);
    let _second = AppBuilder::default().set("server.bind", &bind).on(&app.folder).spawn().await;
    assert_eq!(api.with(&token).await.status, 200, "{}", api.server.output());
}

/// Returns a path in the folder of the examples.
pub fn example(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}
