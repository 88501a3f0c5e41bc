//! Starts the application in this process, on port 0, and sends requests to it.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sentinel::admin::{Admin, NewClient, NewUser};
use sentinel::app::{Application, password_policy};
use sentinel::domain::{Client, Clock, ManualClock, Timestamp, User};
use sentinel::password::Hasher;
use sentinel::settings::{Settings, Sources};
use tempfile::TempDir;

use super::TestResponse;
use super::mongod::TestDatabase;

/// Start of the manual clock: 2100-01-01T00:00:00Z, in the future, so that the TTL index of
/// MongoDB, which uses the real time, deletes nothing.
pub const START: Timestamp = Timestamp::from_millis(4_102_444_800_000);

/// The password of `App::user`.
pub const PASSWORD: &str = "correct horse battery staple";

/// A running server, with a public client `app`, a confidential one `backend` that may introspect,
/// both with the scopes `read write admin` and the default `read write`, and a user `alice`.
pub struct App {
    pub url: String,
    pub http: reqwest::Client,
    pub clock: Arc<ManualClock>,
    pub admin: Admin,
    pub client: Client,
    pub backend: Client,
    pub backend_secret: String,
    pub user: User,
    pub settings: Settings,
    pub folder: Arc<TempDir>,
    /// URL of the metrics, if they are enabled.
    pub metrics: Option<String>,
    handle: actix_web::dev::ServerHandle,
}

/// Builds an application with custom settings.
#[derive(Default)]
pub struct AppBuilder {
    overrides: Vec<(String, String)>,
    folder: Option<Arc<TempDir>>,
    later: Duration,
}

/// Starts a server on an empty embedded store.
pub async fn spawn_app() -> App {
    AppBuilder::default().spawn().await
}

impl AppBuilder {
    /// Overrides one setting.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.overrides.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Uses the embedded store of another server.
    pub fn on(mut self, folder: &Arc<TempDir>) -> Self {
        self.folder = Some(Arc::clone(folder));
        self
    }

    /// Uses a MongoDB database.
    pub fn mongodb(mut self, target: &TestDatabase) -> Self {
        self.overrides.extend(target.overrides());
        self
    }

    /// Uses Redis.
    pub fn redis(self, redis: &super::redis::Redis) -> Self {
        self.set("redis.url", redis.url_for_sentinel())
    }

    /// Starts the clock later by `seconds`.
    pub fn later(mut self, seconds: u64) -> Self {
        self.later = Duration::from_secs(seconds);
        self
    }

    pub async fn spawn(self) -> App {
        let folder = self.folder.unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        let path = folder.path().join("sentinel.db");
        let mut overrides: Vec<(String, String)> = [
            ("server.bind", "127.0.0.1:0"),
            ("server.workers", "2"),
            ("store.path", path.to_str().unwrap()),
            ("password.memory_kib", "64"),
            ("password.iterations", "1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        overrides.extend(self.overrides);
        let sources = Sources { overrides, ..Sources::default() };
        let settings = Settings::load(&sources).unwrap();
        let clock = Arc::new(ManualClock::new(START.plus(self.later)));
        let application =
            Application::build(&settings, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let url = application
            .addresses()
            .first()
            .map_or_else(String::new, |address| format!("http://{address}"));
        let metrics =
            application.metrics_listening().and_then(|listening| listening.addresses.first());
        let metrics = metrics.map(|address| format!("http://{address}/metrics"));
        let (admin, handle) = (application.admin().clone(), application.handle());
        tokio::spawn(application.run());

        let scopes = "read write admin".parse().unwrap();
        let app = NewClient {
            name: "app".to_owned(),
            scopes,
            default_scopes: "read write".parse().unwrap(),
            ..NewClient::default()
        };
        let backend = NewClient {
            name: "backend".to_owned(),
            confidential: true,
            introspection: true,
            introspect_refresh_tokens: true,
            ..app.clone()
        };
        let (client, _) = admin.add_client(app).await.unwrap();
        let (backend, secret) = admin.add_client(backend).await.unwrap();
        let mut hasher = Hasher::new(password_policy(&settings.password)).unwrap();
        let password = hasher.hash(&PASSWORD.into()).unwrap();
        let user = NewUser { username: "alice".into(), password, scopes: None, enabled: true };
        let user = match admin.add_user(user).await {
            Ok(user) => user,
            Err(_) => admin.user("alice").await.unwrap(),
        };
        App {
            url,
            // Tests inspect redirects instead of following them.
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(20))
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
            clock,
            admin,
            client,
            backend,
            backend_secret: secret.unwrap().expose_secret().to_owned(),
            user,
            settings,
            folder,
            metrics,
            handle,
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

impl App {
    /// Stops the server gracefully and waits for its end.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }

    /// Posts a form without credentials.
    pub fn post(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> impl Future<Output = TestResponse> + Send + use<> {
        send(self.http.post(format!("{}{path}", self.url)).form(form))
    }

    /// Posts a form as the confidential client.
    pub fn post_as_backend(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> impl Future<Output = TestResponse> + Send + use<> {
        let request = self.http.post(format!("{}{path}", self.url)).form(form);
        send(request.basic_auth(self.backend.id.as_str(), Some(&self.backend_secret)))
    }

    /// Posts a body unchanged.
    pub async fn post_raw(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> TestResponse {
        let request = self.http.post(format!("{}{path}", self.url));
        send(request.header("content-type", media_type).body(body.into())).await
    }

    /// Logs in as alice through the public client, with additional parameters.
    pub fn login_with(
        &self,
        more: &[(&str, &str)],
    ) -> impl Future<Output = TestResponse> + Send + use<> {
        self.login_as("alice", PASSWORD, more)
    }

    /// Logs in with this user name and password through the public client.
    pub fn login_as(
        &self,
        username: &str,
        password: &str,
        more: &[(&str, &str)],
    ) -> impl Future<Output = TestResponse> + Send + use<> {
        let mut form = vec![
            ("grant_type", "password"),
            ("client_id", self.client.id.as_str()),
            ("username", username),
            ("password", password),
        ];
        form.extend_from_slice(more);
        self.post("/oauth/token", &form)
    }

    /// Logs in as [`Self::login_as`] does, without additional parameters.
    pub fn login_with_password(
        &self,
        username: &str,
        password: &str,
    ) -> impl Future<Output = TestResponse> + Send + use<> {
        self.login_as(username, password, &[])
    }

    /// Logs in as alice and asserts success.
    pub async fn login(&self) -> TestResponse {
        let answer = self.login_with(&[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Refreshes as the public client.
    pub fn refresh(&self, token: &str) -> impl Future<Output = TestResponse> + Send + use<> {
        let id = self.client.id.as_str();
        let form = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", token)];
        self.post("/oauth/token", &form)
    }

    /// Introspects a token as the confidential client.
    pub fn introspect(&self, token: &str) -> impl Future<Output = TestResponse> + Send + use<> {
        self.post_as_backend("/oauth/introspect", &[("token", token)])
    }

    /// Whether introspection reports the token as active.
    pub async fn is_active(&self, token: &str) -> bool {
        self.introspect(token).await.json()["active"].as_bool().unwrap()
    }

    /// Revokes a token as the public client.
    pub fn revoke(&self, token: &str) -> impl Future<Output = TestResponse> + Send + use<> {
        self.post("/oauth/revoke", &[("client_id", self.client.id.as_str()), ("token", token)])
    }

    /// Sends `GET /oauth/verify` with a bearer token.
    pub fn verify(
        &self,
        token: &str,
        query: &str,
    ) -> impl Future<Output = TestResponse> + Send + use<> {
        send(self.http.get(format!("{}/oauth/verify{query}", self.url)).bearer_auth(token))
    }

    /// Advances the clock.
    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Builds a request to the server.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }
}

/// Sends a request and reads the whole response.
pub async fn send(request: reqwest::RequestBuilder) -> TestResponse {
    TestResponse::read(request.send().await.unwrap()).await
}

/// Sends bytes unchanged, piece by piece, and reads one JSON response.
pub async fn raw_exchange(app: &App, pieces: &[&[u8]]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = app.url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    for piece in pieces {
        // A server that has already refused the request may close the connection.
        let _ = stream.write_all(piece).await;
    }
    let mut answer = String::new();
    let mut buffer = [0u8; 4096];
    let reading = async {
        while !answer.ends_with('}') {
            match stream.read(&mut buffer).await {
                Ok(length @ 1..) => {
                    answer.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
                }
                _ => break,
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(15), reading).await;
    answer
}
