//! Redis that answers and refuses writes, and Redis that closes idle connections.

use std::process::Output;
use std::time::Duration;

use crate::helpers::redis::Redis;
use crate::helpers::{AppBuilder, ServerClient, Servers, TestResponse, mongod, send};

/// Ways in which Redis refuses writes, by the error code of its answers.
const REFUSALS: [&str; 4] = ["NOREPLICAS", "READONLY", "NOPERM", "MISCONF"];

/// Starts a Redis that makes snapshots, never by itself.
fn start_redis() -> Redis {
    Redis::start_with(&["--save", "3600 1000000", "--appendonly", "no"])
}

async fn begin(redis: &Redis, refusal: &str) {
    match refusal {
        "NOREPLICAS" => redis.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await,
        "READONLY" => redis.ask(&["REPLICAOF", "127.0.0.1", "1"]).await,
        "NOPERM" => redis.ask(&["ACL", "SETUSER", "default", "-@write"]).await,
        _ => redis.fail_snapshot().await,
    }
}

async fn end(redis: &Redis, refusal: &str) {
    match refusal {
        "NOREPLICAS" => redis.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await,
        "READONLY" => redis.ask(&["REPLICAOF", "NO", "ONE"]).await,
        "NOPERM" => redis.ask(&["ACL", "SETUSER", "default", "+@write"]).await,
        _ => redis.ask(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]).await,
    }
}

async fn start_two(redis: &Redis) -> Servers {
    let mut settings = mongod::replica_set().await.overrides();
    settings.push(("redis.url".to_owned(), redis.url.clone()));
    Servers::start(2, &settings).await
}

/// Asserts that this server accepts the token, and fills the cache.
async fn assert_active(peer: &ServerClient, token: &str) {
    for _ in 0..2 {
        assert_eq!(peer.introspect(token).await.json()["active"], true);
        assert_eq!(peer.verify(token).await.status, 200);
    }
}

async fn assert_inactive(peer: &ServerClient, token: &str, context: &str) {
    let answer = peer.introspect(token).await;
    assert_eq!(answer.text, r#"{"active":false}"#, "{context}");
    assert_eq!(peer.verify(token).await.status, 401, "{context}");
}

/// Asserts that no server accepts the token any more, one second after it has ended.
async fn assert_ended_after_a_second(servers: &Servers, token: &str, context: &str) {
    tokio::time::sleep(Duration::from_secs(1)).await;
    for peer in &servers.peers {
        assert_inactive(peer, token, context).await;
    }
}

fn assert_exit(output: &Output, code: i32, context: &str) {
    assert_eq!(output.status.code(), Some(code), "{context}: {output:?}");
}

/// Retries until Redis accepts writes again.
async fn retry(call: impl AsyncFn() -> TestResponse, status: u16) -> TestResponse {
    for _ in 0..100 {
        let answer = call().await;
        if answer.status == status {
            return answer;
        }
        assert_eq!(answer.status, 503, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server does not recover");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn revoked_token_is_inactive_on_all_servers_while_redis_refuses_writes() {
    for name in REFUSALS {
        let redis = start_redis();
        let servers = start_two(&redis).await;
        let [one, two] = [&servers.peers[0], &servers.peers[1]];
        let login = one.login().await;
        let token = login.access_token();
        assert_active(one, &token).await;
        assert_active(two, &token).await;
        begin(&redis, name).await;
        one.revoke(&token).await.assert_error(503, "temporarily_unavailable");
        // At once on the server that answered, within a second on the other one.
        assert_inactive(one, &token, name).await;
        assert_ended_after_a_second(&servers, &token, name).await;
        end(&redis, name).await;
        // The invalidation is delivered, and the published token removed.
        let again = retry(async || one.login().await, 200).await;
        assert_active(two, &again.access_token()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(redis.owner(&token).await, None, "{name}");
        assert_inactive(one, &token, name).await;
    }
}

/// Disables a user or client with a command, while Redis refuses writes.
async fn assert_command_ends_tokens(command: impl Fn(&Servers) -> [String; 3]) {
    for name in REFUSALS {
        let redis = start_redis();
        let servers = start_two(&redis).await;
        let token = servers.peers[0].login().await.access_token();
        for peer in &servers.peers {
            assert_active(peer, &token).await;
        }
        begin(&redis, name).await;
        let command = command(&servers);
        assert_exit(&servers.output(&command.each_ref().map(String::as_str)).await, 69, name);
        // The command is a process of its own, so both servers have a second.
        assert_ended_after_a_second(&servers, &token, name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tokens_of_disabled_user_end_on_all_servers_while_redis_refuses_writes() {
    assert_command_ends_tokens(|_| ["user", "disable", "alice"].map(str::to_owned)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tokens_of_disabled_client_end_on_all_servers_while_redis_refuses_writes() {
    assert_command_ends_tokens(|servers| {
        ["client", "disable", &servers.peers[0].client].map(str::to_owned)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn rotated_client_secret_is_refused_on_all_servers_while_redis_refuses_writes() {
    for name in REFUSALS {
        let redis = start_redis();
        let mut servers = start_two(&redis).await;
        let token = servers.peers[0].login().await.access_token();
        for peer in &servers.peers {
            assert_active(peer, &token).await;
        }
        begin(&redis, name).await;
        let backend = servers.peers[0].backend.0.clone();
        let output = servers.output(&["client", "rotate-secret", &backend]).await;
        assert_exit(&output, 69, name);
        tokio::time::sleep(Duration::from_secs(1)).await;
        for peer in &servers.peers {
            peer.introspect(&token).await.assert_error(401, "invalid_client");
        }
        // The command prints the new secret, which cannot be shown later.
        let text = String::from_utf8(output.stdout).unwrap();
        let secret = text.split_whitespace().find(|word| word.starts_with("sns_")).unwrap();
        for peer in &mut servers.peers {
            secret.clone_into(&mut peer.backend.1);
            assert_eq!(peer.introspect(&token).await.json()["active"], true, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_and_api_return_replaced_secret_with_503_while_redis_refuses_writes() {
    let redis = Redis::start();
    let app = AppBuilder::default()
        .set("management.username", "operator")
        .set("management.password", "operators-own-password")
        .mongodb(&mongod::replica_set().await)
        .redis(&redis)
        .spawn()
        .await;
    begin(&redis, REFUSALS[0]).await;
    let id = app.backend.id.as_str();
    let rotate = |path: &str| {
        let request = app.request("POST", &format!("/oauth/management{path}/clients/{id}/secret"));
        let request = request.basic_auth("operator", Some("operators-own-password"));
        send(request.header("origin", &app.url).header("sec-fetch-site", "same-origin"))
    };
    let authenticates = async |secret: &str| {
        let request = app.request("POST", "/oauth/introspect").basic_auth(id, Some(secret));
        send(request.form(&[("token", "x")])).await.status == 200
    };

    let answer = rotate("/api").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.header("retry-after").is_some());
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["client_id"]), (&503.into(), &id.into()));
    let first = problem["client_secret"].as_str().unwrap();
    assert!(authenticates(first).await && !authenticates(&app.backend_secret).await);

    let answer = rotate("").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.text.contains("Redis"), "{answer:?}");
    let (_, rest) = answer.text.split_once("id=\"client-secret\">").unwrap();
    let second = rest.split('<').next().unwrap();
    assert!(authenticates(second).await && !authenticates(first).await);
}

/// Redis and firewalls close connections that were idle for some minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_closed_while_idle_is_reopened_without_503() {
    let redis = Redis::start();
    let target = mongod::replica_set().await;
    let apps = [
        AppBuilder::default().mongodb(&target).redis(&redis).spawn().await,
        AppBuilder::default().redis(&redis).spawn().await,
    ];
    for app in apps {
        for _ in 0..4 {
            redis.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal"]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let login = app.login().await;
            assert_eq!(login.status, 200, "{login:?}");
            redis.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal"]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let next = app.refresh(&login.refresh_token()).await;
            assert_eq!(next.status, 200, "{next:?}");
            redis.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal"]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(app.revoke(&next.refresh_token()).await.status, 200);
            assert_eq!(redis.owner(&next.access_token()).await, None);
        }
    }
}

/// `timeout` closes connections, and no request is answered 503 for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_idle_timeout_causes_no_503() {
    let redis = Redis::start();
    redis.ask::<()>(&["CONFIG", "SET", "timeout", "1"]).await;
    let servers = start_two(&redis).await;
    for peer in &servers.peers {
        assert_eq!(peer.login().await.status, 200);
    }
    tokio::time::sleep(Duration::from_millis(3500)).await;
    for peer in &servers.peers {
        for _ in 0..5 {
            let login = peer.login().await;
            assert_eq!(login.status, 200, "{login:?}");
            assert_eq!(peer.revoke(&login.refresh_token()).await.status, 200);
        }
    }
}
