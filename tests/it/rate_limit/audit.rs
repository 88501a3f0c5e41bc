//! Audit events of rate limiting, as the real binary logs them.

use serde_json::Value;

use super::{assert_refused, login, right, strict};
use crate::helpers::{Process, send, spawn_app};

fn event(process: &Process) -> Value {
    serde_json::from_str(&process.wait_for("\"event\":\"throttle\"")).unwrap()
}

#[tokio::test]
async fn rate_limited_address_or_name_is_audited_once() {
    let mut app = strict().spawn().await;
    let store = format!("store.path={}", app.settings.store.path.display());
    let settings = [
        store.as_str(),
        "server.trusted_proxies=127.0.0.0/8",
        "throttle.failures_per_address=5",
        "throttle.failures_per_user=3",
        "password.memory_kib=64",
        "password.iterations=1",
    ];
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let process = Process::serve(app.folder.path(), &arguments);
    app.url = format!("http://{}", process.address);

    for number in 0..8 {
        login(&app, "192.0.2.1", &format!("unwritten-{number}"), "wrong").await;
    }
    assert_refused(&right(&app, "192.0.2.1").await);
    let fields = event(&process);
    assert_eq!((&fields["what"], &fields["address"]), (&"address".into(), &"192.0.2.1".into()));
    assert_eq!((&fields["target"], &fields["guessed"]), (&"audit".into(), &"password".into()));

    // Refused attempts are not logged again, so the next event is about the name.
    for number in 0..4 {
        login(&app, &format!("192.0.2.{}", 10 + number), "alice", &format!("wrong-{number}")).await;
    }
    let fields = event(&process);
    assert_eq!((&fields["what"], &fields["username"]), (&"name".into(), &"alice".into()));

    // A name of no user is not logged, because it may be a password.
    for number in 0..4 {
        login(&app, &format!("192.0.2.{}", 20 + number), "unwritten", &format!("wrong-{number}"))
            .await;
    }
    let fields = event(&process);
    assert_eq!((&fields["what"], &fields["username"]), (&"name".into(), &Value::Null));
    assert!(!fields.to_string().contains("unwritten"), "{fields}");
}

#[tokio::test]
async fn ignored_forwarded_address_is_warned_of_once() {
    let mut app = strict().spawn().await;
    let store = format!("store.path={}", app.settings.store.path.display());
    let arguments =
        ["--set", &store, "--set", "password.memory_kib=64", "--set", "password.iterations=1"];
    let process = Process::serve(app.folder.path(), &arguments);
    app.url = format!("http://{}", process.address);
    app.login().await;
    for from in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(right(&app, from).await.status, 200);
    }
    login(&app, "192.0.2.3", "nobody", "wrong").await.assert_error(400, "invalid_grant");
    let lines = process.lines_until("\"outcome\":\"failed\"");
    let warnings: Vec<_> =
        lines.iter().filter(|line| line.contains("server.trusted_proxies")).collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert!(warnings[0].contains("X-Forwarded-For"), "{warnings:?}");
}

#[tokio::test]
async fn ignored_forwarded_header_is_warned_of_once() {
    let mut app = spawn_app().await;
    let store = format!("store.path={}", app.settings.store.path.display());
    let process = Process::serve(app.folder.path(), &["--set", &store]);
    app.url = format!("http://{}", process.address);
    for number in 0..3 {
        let from = format!("192.0.2.{number}");
        let request = app.request("POST", "/oauth/introspect").header("x-forwarded-for", from);
        // The last one is refused with a log line of its own.
        let id = if number < 2 { "nobody" } else { app.backend.id.as_str() };
        let answer = send(request.basic_auth(id, Some("wrong")).form(&[("token", "x")])).await;
        answer.assert_error(401, "invalid_client");
    }
    let lines = process.lines_until(app.backend.id.as_str());
    let warnings: Vec<_> =
        lines.iter().filter(|line| line.contains("server.trusted_proxies")).collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert!(warnings[0].contains("\"level\":\"WARN\""), "{warnings:?}");
    assert!(warnings[0].contains("\"peer\":\"127.0.0.1\""), "{warnings:?}");
}
