//! `sentinel session` with the sessions of a running server.

use serde_json::{Value, json};

use super::server::{PASSWORD, Server};
use super::{Cli, assert_moment};

fn ids(sessions: &Value) -> Vec<&str> {
    sessions.as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn session_list_can_be_filtered_by_user_and_client() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    cli.add_user("bob", PASSWORD);
    let other = cli.add_client(&[]);
    server.log_in("alice", app).await;
    server.log_in("alice", &other).await;
    server.log_in("bob", app).await;
    let list = |options: &[&str]| cli.json(&[&["session", "list"], options].concat());
    let all = list(&[]);
    assert_eq!(ids(&all).len(), 3);
    assert_eq!(ids(&list(&["--user", "alice"])).len(), 2);
    assert_eq!(ids(&list(&["--user", "bob"])).len(), 1);
    assert_eq!(ids(&list(&["--client", app])).len(), 2);
    assert_eq!(ids(&list(&["--client", app, "--user", "alice"])).len(), 1);
    assert_eq!(ids(&list(&["--after", ids(&all)[0]])), ids(&all)[1..]);
    let first = cli.run(&["session", "list", "--limit", "1"]);
    let more = format!("sentinel: the list continues: use --after '{}'\n", ids(&all)[0]);
    assert_eq!((first.code, first.stderr), (0, more));
}

#[tokio::test]
async fn session_list_contains_no_tokens() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    let user = cli.json(&["user", "show", "alice"]);
    let tokens = server.log_in("alice", app).await;
    server.refresh(&tokens.refresh_token(), app).await.json();
    let sessions = cli.json(&["session", "list"]);
    let session = &sessions[0];
    for moment in ["created_at", "ends_at", "expires_at"] {
        assert_moment(&session[moment]);
    }
    let expected = json!({
        "id": session["id"], "user_id": user["id"], "username": "alice", "client_id": app,
        "scopes": ["read", "write"], "created_at": session["created_at"], "ends_at": session["ends_at"],
        "expires_at": session["expires_at"], "access_tokens": 2, "refreshable": true,
    });
    assert_eq!(*session, expected);
    let text = cli.run(&["session", "list"]);
    assert!(text.ok().contains("alice") && !text.stdout.contains("sna_"), "{text:?}");
}

#[tokio::test]
async fn client_credentials_session_has_no_user() {
    let server = Server::start();
    let client = server.cli.json(&["client", "add", "--confidential"]);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client["client_id"].as_str().unwrap()),
        ("client_secret", client["client_secret"].as_str().unwrap()),
    ];
    assert_eq!(server.token(&form).await.status, 200);
    let session = &server.cli.json(&["session", "list"])[0];
    assert_eq!((&session["user_id"], &session["username"]), (&json!(null), &json!(null)));
    assert_eq!(session["refreshable"], json!(false));
    assert!(server.cli.run(&["session", "list"]).ok().contains("(the client itself)"));
}

#[tokio::test]
async fn expired_session_is_not_listed() {
    let server = Server::start();
    let options = ["--grant", "password", "--access-token-ttl", "1s"];
    let short = server.cli.add_client(&options);
    server.log_in("alice", &short).await;
    server.log_in("alice", &server.client).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let sessions = server.cli.json(&["session", "list"]);
    assert_eq!(ids(&sessions).len(), 1, "{sessions}");
    assert_eq!(sessions[0]["client_id"], json!(server.client));
}

#[tokio::test]
async fn ending_one_session_keeps_others_active() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    let first = server.log_in("alice", app).await;
    let sessions = cli.json(&["session", "list"]);
    let id = ids(&sessions)[0];
    let second = server.log_in("alice", app).await;
    assert_eq!(cli.run(&["session", "end", id]).ok(), "ended 1 session");
    server.refresh(&first.refresh_token(), app).await.assert_error(400, "invalid_grant");
    assert_eq!(server.refresh(&second.refresh_token(), app).await.status, 200);
    cli.run(&["session", "end", id]).fails(65, "there is no session");
}

#[tokio::test]
async fn ending_by_user_or_client_ends_all_their_sessions() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    cli.add_user("bob", PASSWORD);
    let alice = server.log_in("alice", app).await;
    server.log_in("alice", app).await;
    let bob = server.log_in("bob", app).await;
    let message = cli.run(&["session", "end", "--user", "alice"]).ok().to_owned();
    assert_eq!(message, "ended 2 sessions of user alice");
    server.refresh(&alice.refresh_token(), app).await.assert_error(400, "invalid_grant");
    assert_eq!(server.refresh(&bob.refresh_token(), app).await.status, 200);
    assert_eq!(cli.json(&["session", "end", "--client", app]), json!({ "ended": 1 }));
    assert_eq!(cli.json(&["session", "list"]), json!([]));
    assert_eq!(cli.json(&["session", "end", "--client", app]), json!({ "ended": 0 }));
}

#[test]
fn session_end_requires_exactly_one_of_id_user_and_client() {
    let cli = Cli::new();
    cli.run(&["session", "end"]).fails_with_usage("--user");
    cli.run(&["session", "end", "--user", "a", "--client", "b"]).fails_with_usage("--client");
    cli.run(&["session", "end", "0123456789abcdef01234567", "--user", "a"])
        .fails_with_usage("--user");
}

#[test]
fn unknown_user_client_or_session_is_refused() {
    let cli = Cli::new();
    cli.create_store();
    for command in ["list", "end"] {
        cli.run(&["session", command, "--user", "nobody"]).fails(65, "there is no user");
        cli.run(&["session", command, "--client", "none"]).fails(65, "there is no client");
    }
    cli.run(&["session", "end", "nonsense"]).fails(65, "there is no session \"nonsense\"");
    let id = "0123456789abcdef01234567";
    cli.run(&["session", "end", id]).fails(65, id);
    cli.run(&["session", "list", "--after", "nonsense"]).fails_with_usage("24 hexadecimal digits");
}
