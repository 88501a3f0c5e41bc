//! The log of a whole token lifecycle contains no secret.

use crate::helpers::redis::Redis;
use crate::helpers::{App, CapturedLog, PASSWORD, Process, Servers, mongod, send, spawn_app};

#[tokio::test]
async fn trace_log_of_a_token_lifecycle_contains_no_secret() {
    let captured = CapturedLog::default();
    // Set for the whole process, since the server runs on threads of its own.
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(captured.clone());
    let _ = tracing::subscriber::set_global_default(subscriber.finish());

    let app = spawn_app().await;
    let typed = "typed-into-the-wrong-field";
    app.login_as(typed, "some-wrong-password", &[]).await;
    app.login_as("alice", "some-wrong-password", &[]).await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    app.introspect(&second.access_token()).await;
    app.verify(&second.access_token(), "?scope=read").await;
    app.post("/oauth/token", &[("client_id", typed), ("grant_type", "password")]).await;
    let staging = app.request("POST", "/oauth/revoke").basic_auth(typed, Some("proxy-password"));
    let form = [("client_id", app.client.id.as_str()), ("token", "x")];
    assert_eq!(send(staging.form(&form)).await.status, 200);
    app.revoke(&second.access_token()).await;
    let third = app.refresh(&second.refresh_token()).await;
    app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");

    let log = captured.text();
    for event in ["login", "refresh", "revoke", "replay"] {
        let field = format!("event=\"{event}\"");
        assert!(log.contains(&field), "no {field} in the log, so this test proves nothing");
    }
    assert!(log.contains("ignored a Basic header that names no client"), "no such line in the log");
    let mut secrets = vec![
        PASSWORD.to_owned(),
        "proxy-password".to_owned(),
        "some-wrong-password".to_owned(),
        typed.to_owned(),
        app.backend_secret.clone(),
        app.user.password.encoded().to_owned(),
    ];
    for answer in [first, second, third] {
        for token in [answer.access_token(), answer.refresh_token()] {
            // The selector alone identifies a session, so it must not be logged either.
            secrets.push(token[4..26].to_owned());
            secrets.push(token[26..69].to_owned());
        }
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "a secret is in the log");
    }
}

/// Starts a server in a process of its own, on the store of `app`, that trusts loopback as a proxy.
fn start_second_server(app: &App, level: &str) -> Process {
    let store = format!("store.path={}", app.folder.path().join("sentinel.db").display());
    let level = format!("log.level={level}");
    let trusted = "server.trusted_proxies=127.0.0.1";
    let set = [store.as_str(), &level, trusted, "password.memory_kib=64", "password.iterations=1"];
    Process::serve(app.folder.path(), &set.map(|value| ["--set", value]).concat())
}

#[tokio::test]
async fn successful_introspection_and_verify_log_nothing_at_info() {
    let app = spawn_app().await;
    let process = start_second_server(&app, "info");
    let token = app.login().await.access_token();
    // A response means that the messages of the start have been logged.
    send(app.http.get(format!("http://{}/readyz", process.address))).await;
    process.reload();
    for _ in 0..3 {
        let introspect = app.http.post(format!("http://{}/oauth/introspect", process.address));
        let introspect = introspect.basic_auth(app.backend.id.as_str(), Some(&app.backend_secret));
        let answer = send(introspect.form(&[("token", &token)])).await;
        assert_eq!(answer.json()["active"], true);
        let verify = app.http.get(format!("http://{}/oauth/verify", process.address));
        assert_eq!(send(verify.bearer_auth(&token)).await.status, 200);
    }
    process.signal("HUP");
    assert_eq!(process.lines_until("\"reloaded\""), Vec::<String>::new());
}

#[tokio::test]
async fn secrets_in_request_headers_are_not_logged() {
    let app = spawn_app().await;
    let process = start_second_server(&app, "trace");
    let tokens = app.login().await;
    let (access, refresh) = (tokens.access_token(), tokens.refresh_token());
    let url = |path: &str| format!("http://{}{path}", process.address);
    for (number, secret) in [access.as_str(), refresh.as_str(), PASSWORD].into_iter().enumerate() {
        let parent = format!("00-{secret}-00f067aa0ba902b7-01");
        for name in ["x-request-id", "traceparent", "x-forwarded-for"] {
            let verify = app.http.get(url("/oauth/verify")).bearer_auth("nonsense");
            let value = if name == "traceparent" { &parent } else { secret };
            assert_eq!(send(verify.header(name, value)).await.status, 401);
            let login = [("grant_type", "password"), ("client_id", "nobody")];
            let mut login = app.http.post(url("/oauth/token")).form(&login).header(name, value);
            if name != "x-forwarded-for" {
                // Equal lines of one address are logged once.
                let address = format!("192.0.{number}.{}", name.len());
                login = login.header("x-forwarded-for", address);
            }
            assert_eq!(send(login).await.status, 401);
        }
    }
    process.signal("HUP");
    let log = process.lines_until("SIGHUP").join("\n");
    assert!(log.matches("client_authentication").count() == 7 && log.contains("request_id"));
    for secret in [&access[4..26], &access[26..69], &refresh[26..69], PASSWORD] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trace_log_with_mongodb_and_redis_contains_no_secret() {
    let target = mongod::replica_set().await;
    let redis = Redis::start_with(&["--save", "", "--requirepass", "the-password-of-redis"]);
    let mut settings = target.overrides();
    let more = [("redis.url", redis.url.as_str()), ("log.level", "trace")];
    settings.extend(more.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let servers = Servers::start(1, &settings).await;
    let (peer, process) = (&servers.peers[0], &servers.processes[0]);
    let first = peer.login().await;
    let second = peer.refresh(&first.refresh_token()).await;
    for token in [first.access_token(), second.access_token(), second.refresh_token()] {
        assert!(peer.is_active(&token).await);
        assert!([200, 401].contains(&peer.verify(&token).await.status));
    }
    assert_eq!(peer.revoke(&first.access_token()).await.status, 200);
    let third = peer.refresh(&second.refresh_token()).await;
    peer.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
    process.signal("HUP");
    let log = process.lines_until("SIGHUP").join("\n");
    assert!(log.contains("\"replay\"") && log.contains("\"TRACE\""), "it proves nothing");
    let mut secrets = vec![PASSWORD.to_owned(), "the-password-of-redis".to_owned()];
    for answer in [first, second, third] {
        for token in [answer.access_token(), answer.refresh_token()] {
            secrets.extend([token[4..26].to_owned(), token[26..69].to_owned()]);
        }
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "a secret is in the log");
    }
}
