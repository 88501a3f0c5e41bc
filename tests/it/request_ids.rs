//! Request ids, in responses and in every log line of a request.

use std::collections::HashSet;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::helpers::{AppBuilder, Process, TestResponse, send, sentinel, spawn_app};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn id(answer: &TestResponse) -> Option<&str> {
    answer.header("x-request-id")
}

#[tokio::test]
async fn request_id_is_sent_except_with_successful_introspection_and_verify() {
    let app = spawn_app().await;
    let login = app.login().await;
    let token = login.access_token();
    let with = [
        login,
        app.login_with_password("alice", "wrong").await,
        send(app.request("GET", "/nowhere")).await,
        send(app.request("GET", "/oauth/token")).await,
        send(app.request("GET", "/healthz")).await,
        app.verify("nonsense", "").await,
        app.verify(&token, "?scope=admin").await,
        app.post("/oauth/introspect", &[("token", &token)]).await,
    ];
    let mut seen = HashSet::new();
    for answer in &with {
        let id = id(answer).unwrap_or_else(|| panic!("{answer:?}"));
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(seen.insert(id), "{id} is there twice");
    }
    for answer in [app.introspect(&token).await, app.verify(&token, "").await] {
        assert!((200..300).contains(&answer.status) && id(&answer).is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn valid_request_id_from_a_trusted_proxy_is_kept() {
    let app = AppBuilder::default().set("server.trusted_proxies", "127.0.0.1").spawn().await;
    let token = app.login().await.access_token();
    let verify = |id: &str| {
        send(app.request("GET", "/oauth/verify").bearer_auth(&token).header("x-request-id", id))
    };
    let longest = "x".repeat(64);
    for given in ["7f0c2b0e-93d1-4f5a-9d3b-2f4b1c6d7e8f", "Root=1:2", &longest] {
        assert_eq!(id(&verify(given).await), Some(given));
        let refused = app.request("GET", "/oauth/verify").header("x-request-id", given);
        assert_eq!(id(&send(refused).await), Some(given));
    }
    let longer = "x".repeat(65);
    for given in ["", "a b", "a\"b", "<script>", "a,b", &longer] {
        assert_eq!(id(&verify(given).await), None, "{given}");
        let refused = app.request("GET", "/oauth/verify").header("x-request-id", given);
        assert_eq!(id(&send(refused).await).unwrap().len(), 32, "{given}");
    }
}

#[tokio::test]
async fn request_id_from_an_untrusted_address_is_replaced() {
    let app = AppBuilder::default().set("server.trusted_proxies", "192.0.2.1").spawn().await;
    let request = app.request("GET", "/oauth/verify").header("x-request-id", "mine");
    assert_eq!(id(&send(request).await).unwrap().len(), 32);
}

/// Sends a token request that is refused, and so logged, with these headers; returns the response
/// and the log line. Each request has another address, since equal lines are logged once.
async fn refused(process: &Process, headers: &[(&str, &str)]) -> (TestResponse, Value) {
    static REQUESTS: AtomicU8 = AtomicU8::new(0);
    let address = format!("192.0.2.{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
    let url = format!("http://{}/oauth/token", process.address);
    let form = [("grant_type", "password"), ("client_id", "nobody")];
    let request = reqwest::Client::new().post(url).form(&form).header("x-forwarded-for", address);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = send(request).await;
    let line = process.wait_for("client_authentication");
    (answer, serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

#[tokio::test]
async fn json_log_lines_have_the_request_id_and_the_trace_id() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = ["--set", "server.trusted_proxies=127.0.0.1"];
    let process = Process::serve(folder.path(), &trusted);
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let headers = [("x-request-id", "from-nginx"), ("traceparent", &parent)];
    let (answer, line) = refused(&process, &headers).await;
    assert_eq!((id(&answer), &line["request_id"]), (Some("from-nginx"), &"from-nginx".into()));
    assert_eq!((&line["trace_id"], &line["target"]), (&TRACE.into(), &"audit".into()));

    let (answer, line) = refused(&process, &[]).await;
    assert_eq!(line["request_id"], id(&answer).unwrap());
    assert_eq!(line.get("trace_id"), None, "{line}");

    for bad in [format!("{parent}-more"), parent.replace(TRACE, &"0".repeat(32)), String::new()] {
        let (_, line) = refused(&process, &[("traceparent", &bad)]).await;
        assert_eq!(line.get("trace_id"), None, "{line}");
    }
    let twice = [("traceparent", parent.as_str()), ("traceparent", parent.as_str())];
    let (_, line) = refused(&process, &twice).await;
    assert_eq!(line.get("trace_id"), None, "{line}");
    // Log lines outside a request have no request id.
    process.signal("HUP");
    let line: Value = serde_json::from_str(&process.wait_for("SIGHUP")).unwrap();
    assert_eq!(line.get("request_id"), None, "{line}");
}

#[test]
fn pretty_log_lines_have_the_request_id_and_the_trace_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = sentinel(folder.path());
    command.args(["serve", "--bind", "unix:sentinel.sock", "--set", "log.format=pretty"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while UnixStream::connect(folder.path().join("sentinel.sock")).is_err() {
        assert!(Instant::now() < deadline, "the server does not listen");
        std::thread::yield_now();
    }
    let parent = format!("traceparent: 00-{TRACE}-{SPAN}-00");
    // Peers on a Unix socket are trusted like proxies.
    let curl = Command::new("curl")
        .args(["-sS", "--unix-socket", "sentinel.sock", "http://localhost/oauth/token"])
        .args(["-H", "X-Request-Id: from-nginx", "-H", &parent])
        .args(["-d", "client_id=nobody", "-d", "grant_type=password"])
        .current_dir(folder.path())
        .output();
    assert!(curl.unwrap().status.success());
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let output = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    let line = output.lines().find(|line| line.contains("client_authentication")).unwrap();
    assert!(line.ends_with(&format!(" request_id=from-nginx trace_id={TRACE}")), "{line}");
}
