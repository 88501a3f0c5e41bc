//! Commands beside a running server: both use one store, and the server sees the effect of a
//! command immediately.

use super::Cli;
use crate::helpers::{Process, TestResponse};

pub(super) const PASSWORD: &str = "correct horse battery staple";

/// Running server with a user `alice` and a public client, both added by commands.
pub(super) struct Server {
    pub(super) cli: Cli,
    pub(super) client: String,
    pub(super) http: reqwest::Client,
    pub(super) process: Process,
}

impl Server {
    pub(super) fn start() -> Self {
        let cli = Cli::new();
        let process = cli.serve();
        let client = cli.add_client(&["--default-scope", "read write"]);
        cli.add_user("alice", PASSWORD);
        Self { cli, client, http: reqwest::Client::new(), process }
    }

    pub(super) async fn token(&self, form: &[(&str, &str)]) -> TestResponse {
        let url = format!("http://{}/oauth/token", self.process.address);
        TestResponse::read(self.http.post(url).form(form).send().await.unwrap()).await
    }

    pub(super) async fn try_log_in(&self, user: &str, password: &str) -> TestResponse {
        let who = [("username", user), ("password", password), ("client_id", &self.client)];
        self.token(&[&[("grant_type", "password")], &who[..]].concat()).await
    }

    /// Sends a GET request with a bearer token.
    pub(super) async fn get(&self, path: &str, token: &str) -> TestResponse {
        let url = format!("http://{}{path}", self.process.address);
        TestResponse::read(self.http.get(url).bearer_auth(token).send().await.unwrap()).await
    }

    /// Logs in a user through this client.
    pub(super) async fn log_in(&self, user: &str, client: &str) -> TestResponse {
        let who = [("username", user), ("password", PASSWORD), ("client_id", client)];
        let answer = self.token(&[&[("grant_type", "password")], &who[..]].concat()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    pub(super) async fn refresh(&self, token: &str, client: &str) -> TestResponse {
        let what = [("refresh_token", token), ("client_id", client)];
        self.token(&[&[("grant_type", "refresh_token")], &what[..]].concat()).await
    }
}

#[tokio::test]
async fn added_user_can_log_in_until_disabled() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    let tokens = server.log_in("alice", app).await;
    let tokens = server.refresh(&tokens.refresh_token(), app).await;
    assert_eq!(tokens.status, 200);
    cli.run(&["user", "disable", "alice"]).ok();
    server.refresh(&tokens.refresh_token(), app).await.assert_error(400, "invalid_grant");
    server.try_log_in("alice", PASSWORD).await.assert_error(400, "invalid_grant");
    cli.run(&["user", "enable", "alice"]).ok();
    server.refresh(&tokens.refresh_token(), app).await.assert_error(400, "invalid_grant");
    server.log_in("alice", app).await;
}

#[tokio::test]
async fn new_password_replaces_old_one_and_ends_sessions() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    let tokens = server.log_in("alice", app).await;
    let passwd = cli.pipe("another one\n", &["user", "passwd", "alice", "--password-stdin"]);
    passwd.ok();
    server.refresh(&tokens.refresh_token(), app).await.assert_error(400, "invalid_grant");
    server.try_log_in("alice", PASSWORD).await.assert_error(400, "invalid_grant");
    assert_eq!(server.try_log_in("alice", "another one").await.status, 200);
}

#[tokio::test]
async fn trailing_newline_is_not_part_of_piped_password() {
    let server = Server::start();
    let cases = [
        ("plain password\n", "plain password"),
        ("password of DOS\r\n", "password of DOS"),
        (" \tp      ", " \tp      "),
        ("zoë zoë zoë", "zoë zoë zoë"),
    ];
    for (piped, password) in cases {
        let passwd = ["user", "passwd", "alice", "--password-stdin"];
        server.cli.pipe(piped, &passwd).ok();
        assert_eq!(server.try_log_in("alice", password).await.status, 200, "{piped:?}");
    }
}

#[tokio::test]
async fn deleting_user_ends_sessions_and_prevents_login() {
    let server = Server::start();
    let tokens = server.log_in("alice", &server.client).await;
    server.cli.run(&["user", "delete", "alice"]).ok();
    let answer = server.refresh(&tokens.refresh_token(), &server.client).await;
    answer.assert_error(400, "invalid_grant");
    server.try_log_in("alice", PASSWORD).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn disabling_client_ends_sessions_and_prevents_login() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    let tokens = server.log_in("alice", app).await;
    cli.run(&["client", "disable", app]).ok();
    server.refresh(&tokens.refresh_token(), app).await.assert_error(401, "invalid_client");
    cli.run(&["client", "enable", app]).ok();
    server.refresh(&tokens.refresh_token(), app).await.assert_error(400, "invalid_grant");
    server.log_in("alice", app).await;
}

#[tokio::test]
async fn rotated_secret_replaces_old_one() {
    let server = Server::start();
    let client = server.cli.json(&["client", "add", "--confidential"]);
    let id = client["client_id"].as_str().unwrap();
    let rotated = server.cli.json(&["client", "rotate-secret", id]);
    let attempt = async |credentials: &serde_json::Value| {
        let secret = credentials["client_secret"].as_str().unwrap();
        let form =
            [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        server.token(&form).await
    };
    attempt(&client).await.assert_error(401, "invalid_client");
    assert_eq!(attempt(&rotated).await.status, 200);
}

#[tokio::test]
async fn token_has_lifetime_of_client_and_scopes_of_user() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    cli.run(&["client", "edit", app, "--access-token-ttl", "15m"]).ok();
    cli.run(&["user", "edit", "alice", "--scope", "read"]).ok();
    let answer = server.log_in("alice", app).await.json();
    assert_eq!((&answer["expires_in"], &answer["scope"]), (&900.into(), &"read".into()));
}

#[tokio::test]
async fn healthcheck_reports_readiness_of_server() {
    let server = Server::start();
    let bind = format!("server.bind={}", server.process.address);
    let ask = ["healthcheck", "--set", &bind];
    assert_eq!(server.cli.run(&ask).ok(), "ready");
    assert_eq!(server.cli.json(&ask), serde_json::json!({ "ready": true }));
    let Server { cli, mut process, .. } = server;
    process.kill();
    cli.run(&ask).fails(69, "does not answer");
}

/// The health check may run as a user that must not read the secrets.
#[tokio::test]
async fn healthcheck_reads_no_secret_file() {
    let server = Server::start();
    let bind = format!("server.bind={}", server.process.address);
    let mut ask = vec!["healthcheck", "--set", &bind];
    for secret in [
        "mongo.uri_file=/nowhere",
        "mongo.password_file=/nowhere",
        "redis.url_file=/nowhere",
        "management.password_file=/nowhere",
    ] {
        ask.extend(["--set", secret]);
    }
    server.cli.run(&["config", "check", "--set", "redis.url_file=/nowhere"]).fails(78, "/nowhere");
    assert_eq!(server.cli.run(&ask).ok(), "ready");
    // Settings that the health check does read have to be valid.
    server.cli.run(&["healthcheck", "--set", "tls.mode=on"]).fails(78, "tls.mode");
    server.cli.run(&["healthcheck", "--set", "server.bind=x"]).fails(78, "server.bind");
}
