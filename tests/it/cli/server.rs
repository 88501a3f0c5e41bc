//! Commands beside a running server: both are on one store, and the server sees at once what a
//! command does.

use super::Cli;
use crate::helpers::{Answer, Process};

pub(super) const PASSWORD: &str = "correct horse battery staple";

/// A server, a user `alice` and a public client, added by commands while it runs.
pub(super) struct Server {
    pub(super) cli: Cli,
    pub(super) client: String,
    http: reqwest::Client,
    process: Process,
}

impl Server {
    pub(super) fn start() -> Self {
        let cli = Cli::new();
        let process = cli.serve();
        let client = cli.add_client(&["--default-scope", "read write"]);
        cli.add_user("alice", PASSWORD);
        Self { cli, client, http: reqwest::Client::new(), process }
    }

    pub(super) async fn token(&self, form: &[(&str, &str)]) -> Answer {
        let url = format!("http://{}/oauth/token", self.process.address);
        Answer::read(self.http.post(url).form(form).send().await.unwrap()).await
    }

    async fn try_log_in(&self, user: &str, password: &str) -> Answer {
        let who = [("username", user), ("password", password), ("client_id", &self.client)];
        self.token(&[&[("grant_type", "password")], &who[..]].concat()).await
    }

    /// Logs a user in, through this client.
    pub(super) async fn log_in(&self, user: &str, client: &str) -> Answer {
        let who = [("username", user), ("password", PASSWORD), ("client_id", client)];
        let answer = self.token(&[&[("grant_type", "password")], &who[..]].concat()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    pub(super) async fn refresh(&self, token: &str, client: &str) -> Answer {
        let what = [("refresh_token", token), ("client_id", client)];
        self.token(&[&[("grant_type", "refresh_token")], &what[..]].concat()).await
    }
}

#[tokio::test]
async fn a_user_who_was_just_added_can_log_in_until_disabled() {
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
async fn a_new_password_replaces_the_old_one_and_ends_the_sessions() {
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
async fn one_newline_at_the_end_is_no_part_of_the_password() {
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
async fn a_deleted_user_is_gone_with_all_sessions() {
    let server = Server::start();
    let tokens = server.log_in("alice", &server.client).await;
    server.cli.run(&["user", "delete", "alice"]).ok();
    let answer = server.refresh(&tokens.refresh_token(), &server.client).await;
    answer.assert_error(400, "invalid_grant");
    server.try_log_in("alice", PASSWORD).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_disabled_client_is_refused_and_its_sessions_end() {
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
async fn a_rotated_secret_takes_the_place_of_the_old_one() {
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
async fn a_client_keeps_to_its_own_lifetime_and_a_user_to_their_scopes() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    cli.run(&["client", "edit", app, "--access-token-ttl", "15m"]).ok();
    cli.run(&["user", "edit", "alice", "--scope", "read"]).ok();
    let answer = server.log_in("alice", app).await.json();
    assert_eq!((&answer["expires_in"], &answer["scope"]), (&900.into(), &"read".into()));
}

#[tokio::test]
async fn healthcheck_tells_whether_the_server_is_ready() {
    let server = Server::start();
    let bind = format!("server.bind={}", server.process.address);
    let ask = ["healthcheck", "--set", &bind];
    assert_eq!(server.cli.run(&ask).ok(), "ready");
    assert_eq!(server.cli.json(&ask), serde_json::json!({ "ready": true }));
    let Server { cli, mut process, .. } = server;
    process.kill();
    cli.run(&ask).fails(69, "does not answer");
}

/// It is asked by who may not read them: anybody on the machine.
#[tokio::test]
async fn healthcheck_needs_no_secret_and_reads_none() {
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
    // What it does read has to be right.
    server.cli.run(&["healthcheck", "--set", "tls.mode=on"]).fails(78, "tls.mode");
    server.cli.run(&["healthcheck", "--set", "server.bind=x"]).fails(78, "server.bind");
}
