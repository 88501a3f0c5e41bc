//! `examples/eve` with the real Eve, which reads the tokens that Sentinel publishes in Redis.

use secrecy::ExposeSecret;
use sentinel::admin::Versions;

use super::resource_server::example;
use crate::helpers::mongod::{self, TestDatabase};
use crate::helpers::redis::Redis;
use crate::helpers::{
    App, AppBuilder, ExternalProgram, TestResponse, command, free_port, installed, send,
};

struct Eve {
    server: ExternalProgram,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Eve {
    fn start(redis: &Redis, data: &TestDatabase, app: &App) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut eve = command(installed(".cache/python", "bin/python"));
        eve.args(["-m", "flask", "--app"]).arg(example("eve/app.py"));
        eve.args(["run", "--port", &port.to_string()]).env("PYTHONDONTWRITEBYTECODE", "1");
        eve.env("REDIS_URL", &redis.url);
        eve.env("MONGO_URI", format!("{}/{}", data.uri, data.dbname));
        let server = ExternalProgram::start(eve, port, folder.path());
        Self { server, http: app.http.clone(), _folder: folder }
    }

    async fn notes(&self, authorization: Option<&str>) -> TestResponse {
        let request = self.http.get(format!("{}/notes", self.server.url));
        send(match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        })
        .await
    }

    async fn with(&self, token: &str) -> TestResponse {
        self.notes(Some(&format!("Bearer {token}"))).await
    }

    async fn add(&self, token: &str, text: &str) -> TestResponse {
        let request = self.http.post(format!("{}/notes", self.server.url)).bearer_auth(token);
        let body = serde_json::json!({ "text": text }).to_string();
        send(request.header("content-type", "application/json").body(body)).await
    }

    fn texts(answer: &TestResponse) -> Vec<String> {
        let json = answer.json();
        let items = json["_items"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
        items.iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect()
    }
}

const NO_TOKEN: (u16, &str) = (401, "Bearer realm=\"notes\"");
const BAD_TOKEN: (u16, &str) = (401, "Bearer realm=\"notes\", error=\"invalid_token\"");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn active_token_gives_access_to_own_notes_only() {
    let (redis, data) = (Redis::start(), mongod::replica_set().await);
    let app = AppBuilder::default().mongodb(&mongod::replica_set().await).redis(&redis);
    let app = app.spawn().await;
    let eve = Eve::start(&redis, &data, &app);
    let password = app.user.password.clone();
    let bob =
        sentinel::admin::NewUser { username: "bob".into(), password, scopes: None, enabled: true };
    app.admin.add_user(bob).await.unwrap();

    let alice = app.login().await;
    let added = eve.add(&alice.access_token(), "hers").await;
    assert_eq!(added.status, 201, "{added:?} {}", eve.server.output());
    let bob = app.login_with_password("bob", crate::helpers::PASSWORD).await;
    assert_eq!(eve.add(&bob.access_token(), "his").await.status, 201);
    assert_eq!(Eve::texts(&eve.with(&alice.access_token()).await), ["hers"]);
    assert_eq!(Eve::texts(&eve.with(&bob.access_token()).await), ["his"]);

    let next = app.refresh(&alice.refresh_token()).await;
    assert_eq!(Eve::texts(&eve.with(&next.access_token()).await), ["hers"]);
    assert_eq!(app.revoke(&next.access_token()).await.status, 200);
    assert_eq!(eve.with(&next.access_token()).await.challenge(), BAD_TOKEN);
    assert_eq!(eve.with(&alice.access_token()).await.status, 200);
    assert_eq!(app.revoke(&next.refresh_token()).await.status, 200);
    assert_eq!(eve.with(&alice.access_token()).await.challenge(), BAD_TOKEN);
    let id = app.admin.user("bob").await.unwrap().id;
    app.admin.delete_user(id, &Versions::Any).await.unwrap();
    assert_eq!(eve.with(&bob.access_token()).await.challenge(), BAD_TOKEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_active_access_token_are_refused() {
    let (mut redis, data) = (Redis::start(), mongod::replica_set().await);
    let app = AppBuilder::default().mongodb(&mongod::replica_set().await).redis(&redis);
    let app = app.spawn().await;
    let eve = Eve::start(&redis, &data, &app);
    let login = app.login().await;
    // The introspection creates keys of other types.
    assert!(app.is_active(&login.access_token()).await);
    for authorization in [None, Some("Basic YTpi"), Some("")] {
        assert_eq!(eve.notes(authorization).await.challenge(), NO_TOKEN, "{authorization:?}");
    }
    let keys = redis.keys().await;
    let others = keys.iter().filter(|(_, kind)| *kind != "string").map(|(key, _)| key.clone());
    let others: Vec<String> = others.collect();
    assert!(others.len() >= 2, "{keys:?}");
    let secret = app.settings.redis.url.as_ref().unwrap().expose_secret();
    let texts = ["", "x", "*", login.refresh_token().as_str(), secret].map(str::to_owned);
    for token in texts.iter().chain(&others) {
        assert_eq!(eve.with(token).await.challenge(), BAD_TOKEN, "{token:?}");
    }
    redis.kill();
    let unknown = eve.with(&login.access_token()).await;
    assert_eq!((unknown.status, unknown.header("retry-after")), (503, Some("1")), "{unknown:?}");
}
