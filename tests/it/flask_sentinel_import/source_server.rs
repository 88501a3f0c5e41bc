//! flask-sentinel 0.0.8 on real servers.

use mongodb::bson::{Document, doc};
use serde_json::Value;
use tempfile::TempDir;

use crate::helpers::mongod::{self, TestDatabase};
use crate::helpers::redis::Redis;
use crate::helpers::{ExternalProgram, TestResponse, command, free_port, installed, send};

/// Running flask-sentinel.
pub(super) struct FlaskSentinel {
    pub(super) redis: Redis,
    pub(super) source: TestDatabase,
    http: reqwest::Client,
    server: ExternalProgram,
    _folder: TempDir,
}

/// Tokens of a user that is logged in at flask-sentinel.
pub(super) struct Login {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl FlaskSentinel {
    pub(super) async fn start() -> Self {
        let (redis, source) = (Redis::start(), mongod::replica_set().await);
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/flask_sentinel/server.py");
        let mut server = command(installed(".cache/flask-sentinel", "bin/python"));
        let uri = format!("{}/{}", source.uri, source.dbname);
        server.args([script, &port.to_string(), &uri, &redis.url]);
        let server = ExternalProgram::start(server, port, folder.path());
        Self { redis, source, http: reqwest::Client::new(), server, _folder: folder }
    }

    /// Returns the connection string for `--from`.
    pub(super) fn uri(&self) -> String {
        format!("{}/{}", self.source.uri, self.source.dbname)
    }

    async fn manage(&self, form: &[(&str, &str)]) {
        let request = self.http.post(format!("{}/oauth/management", self.server.url)).form(form);
        let answer = send(request.basic_auth("operator", Some("of old"))).await;
        assert_eq!(answer.status, 200, "{answer:?} {}", self.server.output());
    }

    pub(super) async fn add_user(&self, name: &str, password: &str) {
        self.manage(&[("submit", "Add User"), ("username", name), ("password", password)]).await;
    }

    /// Adds a client through the management page and returns its id.
    pub(super) async fn add_client(&self) -> String {
        self.manage(&[("submit", "Add Client")]).await;
        let clients = self.source.database().await.collection::<Document>("clients");
        let last = clients.find_one(doc! {}).sort(doc! { "$natural": -1 }).await.unwrap().unwrap();
        last.get_str("client_id").unwrap().to_owned()
    }

    /// Returns the id that flask-sentinel assigned to a user.
    pub(super) async fn id_of(&self, name: &str) -> String {
        let users = self.source.database().await.collection::<Document>("users");
        let user = users.find_one(doc! { "username": name }).await.unwrap().unwrap();
        user.get_object_id("_id").unwrap().to_hex()
    }

    pub(super) async fn login(&self, client: &str, name: &str, password: &str) -> Login {
        let form = [
            ("grant_type", "password"),
            ("client_id", client),
            ("username", name),
            ("password", password),
        ];
        let request = self.http.post(format!("{}/oauth/token", self.server.url)).form(&form);
        let answer: TestResponse = send(request).await;
        assert_eq!(answer.status, 200, "{answer:?} {}", self.server.output());
        let json: Value = answer.json();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Login { access: text("access_token"), refresh: text("refresh_token") }
    }
}
