//! Several servers on one store, each in a process of its own, as behind a load balancer.

use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sentinel::admin::{Admin, NewClient, NewUser};
use sentinel::app::password_policy;
use sentinel::domain::SystemClock;
use sentinel::password::Hasher;
use sentinel::settings::{Settings, Sources};
use sentinel::store::OpenMode;
use sentinel::store::connect::connect;
use tempfile::TempDir;

use super::{PASSWORD, Process, TestResponse, send, sentinel};

/// Servers with a public client, a confidential one that may introspect, and a user `alice`.
pub struct Servers {
    pub processes: Vec<Process>,
    pub peers: Vec<ServerClient>,
    pub user: String,
    arguments: Vec<String>,
    folder: TempDir,
}

/// HTTP client for one of the servers.
#[derive(Clone)]
pub struct ServerClient {
    pub http: reqwest::Client,
    pub url: String,
    pub client: String,
    pub backend: (String, String),
}

impl Servers {
    /// Starts `count` servers with these settings.
    pub async fn start(count: usize, settings: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentinel.db").display().to_string();
        let fast = [("store.path", &*path), ("password.memory_kib", "64")];
        let mut overrides: Vec<(String, String)> =
            fast.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        overrides.push(("password.iterations".to_owned(), "1".to_owned()));
        overrides.extend_from_slice(settings);
        let arguments: Vec<String> = overrides
            .iter()
            .flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")])
            .collect();
        let settings = Settings::load(&Sources { overrides, ..Sources::default() }).unwrap();
        let admin =
            Admin::new(connect(&settings, OpenMode::Create).await.unwrap(), Arc::new(SystemClock));
        let (app, _) = admin.add_client(NewClient::default()).await.unwrap();
        let backend = NewClient {
            confidential: true,
            introspection: true,
            introspect_refresh_tokens: true,
            ..NewClient::default()
        };
        let (backend, secret) = admin.add_client(backend).await.unwrap();
        let mut hasher = Hasher::new(password_policy(&settings.password)).unwrap();
        let password = hasher.hash(&PASSWORD.into()).unwrap();
        let user = NewUser { username: "alice".into(), password, scopes: None, enabled: true };
        let user = admin.add_user(user).await.unwrap().id.to_string();

        let client = app.id.to_string();
        let backend = (backend.id.to_string(), secret.unwrap().expose_secret().to_owned());
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let serve = |_| {
            Process::serve(folder.path(), &[&["--set", "server.workers=1"], &words[..]].concat())
        };
        let processes: Vec<Process> = (0..count).map(serve).collect();
        let peer = |process: &Process| ServerClient {
            http: reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap(),
            url: format!("http://{}", process.address),
            client: client.clone(),
            backend: backend.clone(),
        };
        let peers = processes.iter().map(peer).collect();
        Self { processes, peers, user, arguments, folder }
    }

    /// Runs a command in a process of its own on the same store, and asserts success.
    pub async fn run(&self, arguments: &[&str]) {
        let output = self.output(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// Runs a command in a process of its own on the same store.
    pub async fn output(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(sentinel(self.folder.path()));
        let output = command.args(&self.arguments).args(arguments).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(60), output).await;
        output.expect("the command ends by itself").unwrap()
    }
}

impl ServerClient {
    fn post(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> impl Future<Output = TestResponse> + Send + use<> {
        let mut fields = vec![("client_id", self.client.as_str())];
        fields.extend_from_slice(form);
        send(self.http.post(format!("{}{path}", self.url)).form(&fields))
    }

    pub fn login(&self) -> impl Future<Output = TestResponse> + Send + use<> {
        let form = [("grant_type", "password"), ("username", "alice"), ("password", PASSWORD)];
        self.post("/oauth/token", &form)
    }

    pub fn refresh(&self, token: &str) -> impl Future<Output = TestResponse> + Send + use<> {
        self.post("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    pub fn revoke(&self, token: &str) -> impl Future<Output = TestResponse> + Send + use<> {
        self.post("/oauth/revoke", &[("token", token)])
    }

    pub fn introspect(&self, token: &str) -> impl Future<Output = TestResponse> + Send + use<> {
        let request = self.http.post(format!("{}/oauth/introspect", self.url));
        let request = request.basic_auth(&self.backend.0, Some(&self.backend.1));
        send(request.form(&[("token", token)]))
    }

    pub fn verify(&self, token: &str) -> impl Future<Output = TestResponse> + Send + use<> {
        send(self.http.get(format!("{}/oauth/verify", self.url)).bearer_auth(token))
    }

    pub fn ready(&self) -> impl Future<Output = TestResponse> + Send + use<> {
        send(self.http.get(format!("{}/readyz", self.url)))
    }

    /// Whether introspection, which has to succeed, reports the token as active.
    pub async fn is_active(&self, token: &str) -> bool {
        let answer = self.introspect(token).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["active"].as_bool().unwrap()
    }
}
