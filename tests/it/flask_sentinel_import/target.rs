//! Sentinel as the target of an import: commands and a server on the system clock.

use std::process::Output;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use reqwest::redirect::Policy;
use rusqlite::types::Value as Sql;
use serde_json::Value;
use tempfile::TempDir;

use crate::helpers::mongod::TestDatabase;
use crate::helpers::{Process, TestResponse, send, sentinel};

const OPERATOR: &str = "operator";

/// Store that receives the imported records.
pub(super) struct ImportTarget {
    folder: TempDir,
    settings: Vec<String>,
    mongodb: Option<TestDatabase>,
}

/// Server on this store, with a client that may introspect.
pub(super) struct TargetServer {
    _process: Process,
    http: reqwest::Client,
    url: String,
    api: (String, String),
}

impl ImportTarget {
    pub(super) fn embedded() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), settings: quick(), mongodb: None }
    }

    pub(super) fn mongodb(target: &TestDatabase) -> Self {
        let own = target.overrides().into_iter().map(|(key, value)| format!("{key}={value}"));
        let settings = quick().into_iter().chain(own).collect();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, settings, mongodb: Some(target.clone()) }
    }

    pub(super) fn with(mut self, setting: String) -> Self {
        self.settings.push(setting);
        self
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Output {
        let mut command = sentinel(self.folder.path());
        command.args(arguments);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.output().unwrap()
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(super) fn import(&self, from: &str, more: &[&str]) -> Value {
        self.run(&[&["import", "flask-sentinel", "--from", from], more].concat())
    }

    /// Returns all records of the store as text.
    pub(super) async fn contents(&self) -> Vec<String> {
        match &self.mongodb {
            Some(target) => documents(target).await,
            None => self.rows(),
        }
    }

    fn rows(&self) -> Vec<String> {
        let path = self.folder.path().join("data/sentinel.db");
        if !path.exists() {
            return Vec::new();
        }
        let connection = rusqlite::Connection::open(path).unwrap();
        let mut found = Vec::new();
        for table in ["users", "clients", "sessions", "imported", "aliases"] {
            let mut rows = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = rows.column_count();
            let mut rows = rows.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values = (0..columns).map(|at| row.get::<_, Sql>(at).unwrap());
                found.push(format!("{table} {:?}", values.collect::<Vec<_>>()));
            }
        }
        found
    }

    /// Changes an embedded store in a way that no command offers.
    pub(super) fn execute_sql(&self, sql: &str) {
        let path = self.folder.path().join("data/sentinel.db");
        rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    }

    /// Returns the password hash of a user.
    pub(super) async fn hash_of(&self, name: &str) -> String {
        match &self.mongodb {
            Some(target) => {
                let users = target.database().await.collection::<Document>("sentinel_users");
                let user = users.find_one(doc! { "username": name }).await.unwrap().unwrap();
                user.get_str("password").unwrap().to_owned()
            }
            None => {
                let path = self.folder.path().join("data/sentinel.db");
                let sql = "SELECT password_hash FROM users WHERE username = ?1";
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.query_row(sql, [name], |row| row.get(0)).unwrap()
            }
        }
    }

    pub(super) fn serve(&self) -> TargetServer {
        let permissions = ["--introspection", "--introspect-refresh-tokens"];
        let api = self.run(&[&["client", "add", "--confidential"], &permissions[..]].concat());
        let text = |name: &str| api[name].as_str().unwrap().to_owned();
        let settings = self.settings.iter().flat_map(|setting| ["--set", setting]);
        let process = Process::serve(self.folder.path(), &settings.collect::<Vec<_>>());
        let url = format!("http://{}", process.address);
        let api = (text("client_id"), text("client_secret"));
        // The tests check redirects themselves.
        let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        TargetServer { _process: process, http, url, api }
    }
}

async fn documents(target: &TestDatabase) -> Vec<String> {
    let database = target.database().await;
    let mut found = Vec::new();
    for name in database.list_collection_names().await.unwrap() {
        if name.starts_with("sentinel_") {
            let records = database.collection::<Document>(&name);
            // A running server writes the time of its last probe to the record with the id 0.
            let all = records.find(doc! { "_id": { "$ne": 0 } }).await.unwrap();
            let all: Vec<_> = all.try_collect().await.unwrap();
            found.push(format!("{name}:"));
            found.extend(all.into_iter().map(|record| format!("{name} {record}")));
        }
    }
    found.sort();
    found
}

fn quick() -> Vec<String> {
    let operator = format!("management.username={OPERATOR}");
    let cheap = ["password.memory_kib=64", "password.iterations=1", "management.password=of now"];
    cheap.map(str::to_owned).into_iter().chain([operator]).collect()
}

impl TargetServer {
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> TestResponse {
        send(self.http.post(format!("{}{path}", self.url)).form(form)).await
    }

    pub(super) async fn login(&self, client: &str, name: &str, password: &str) -> TestResponse {
        let form = [
            ("grant_type", "password"),
            ("client_id", client),
            ("username", name),
            ("password", password),
        ];
        self.post("/oauth/token", &form).await
    }

    /// Creates a request to the management page.
    pub(super) fn manage(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/oauth/management{path}", self.url);
        self.http.request(method.parse().unwrap(), url).basic_auth(OPERATOR, Some("of now"))
    }

    pub(super) async fn refresh(&self, client: &str, token: &str) -> TestResponse {
        let form =
            [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.post("/oauth/token", &form).await
    }

    pub(super) async fn revoke(&self, client: &str, token: &str) -> TestResponse {
        self.post("/oauth/revoke", &[("client_id", client), ("token", token)]).await
    }

    pub(super) async fn introspect(&self, token: &str) -> Value {
        let request = self.http.post(format!("{}/oauth/introspect", self.url));
        let request = request.form(&[("token", token)]);
        let answer = send(request.basic_auth(&self.api.0, Some(&self.api.1))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(super) async fn is_active(&self, token: &str) -> bool {
        self.introspect(token).await["active"].as_bool().unwrap()
    }

    pub(super) async fn verify(&self, token: &str) -> TestResponse {
        send(self.http.get(format!("{}/oauth/verify", self.url)).bearer_auth(token)).await
    }
}
