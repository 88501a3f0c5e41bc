//! Audit events of management changes: operator, address and interface.

use std::io::Write;
use std::process::Stdio;

use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::{OPERATOR, OPERATOR_PASSWORD};
use crate::helpers::{Process, TestResponse, send, sentinel};

/// Client address that the proxy on this machine forwards.
const CALLER: &str = "203.0.113.9";

struct Served {
    process: Process,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let operator = format!("management.username={OPERATOR}");
        let password = format!("management.password={OPERATOR_PASSWORD}");
        let settings = [operator.as_str(), &password, "server.trusted_proxies=127.0.0.1"];
        let cheap = ["password.memory_kib=64", "password.iterations=1"];
        let settings = settings.iter().chain(&cheap).flat_map(|setting| ["--set", setting]);
        let process = Process::serve(folder.path(), &settings.collect::<Vec<_>>());
        // The tests need no page that a redirect leads to.
        let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        Self { process, http, _folder: folder }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}/oauth/management{path}", self.process.address);
        self.http.request(method.parse().unwrap(), url).header("x-forwarded-for", CALLER)
    }

    async fn operate(&self, request: reqwest::RequestBuilder) -> TestResponse {
        send(request.basic_auth(OPERATOR, Some(OPERATOR_PASSWORD))).await
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> TestResponse {
        let request = self.request(method, path).header("content-type", "application/json");
        self.operate(request.body(body.to_string())).await
    }

    /// Waits for the next audit event of this name.
    fn event(&self, name: &str) -> Value {
        let line = self.process.wait_for(&format!("\"event\":\"{name}\""));
        serde_json::from_str(&line).unwrap()
    }

    #[track_caller]
    fn assert_event(&self, name: &str, via: &str) {
        let event = self.event(name);
        assert_eq!(event["target"], "audit");
        assert_eq!(
            [&event["via"], &event["operator"], &event["address"]],
            [via, OPERATOR, CALLER],
            "{event}"
        );
        assert_eq!(event["request_id"].as_str().unwrap().len(), 32);
    }
}

#[tokio::test]
async fn page_and_api_changes_are_audited_with_operator_and_address() {
    let served = Served::start();
    let form = [
        ("username", "zoe"),
        ("password", "long enough"),
        ("again", "long enough"),
        ("enabled", "on"),
    ];
    let added = served.operate(served.request("POST", "/users").form(&form)).await;
    assert_eq!(added.status, 303, "{added:?}");
    served.assert_event("user_added", "page");

    let user = json!({ "username": "yves", "password": "long enough" });
    let added = served.call("POST", "/api/users", &user).await;
    served.assert_event("user_added", "api");
    let path = format!("/api/users/{}", added.json()["id"].as_str().unwrap());
    served.call("PATCH", &path, &json!({ "enabled": false })).await;
    served.assert_event("user_changed", "api");
    let ended = served.request("DELETE", &format!("/api/sessions?user={}", "yves"));
    assert_eq!(served.operate(ended).await.status, 200);
    served.assert_event("sessions_ended", "api");
    served.operate(served.request("DELETE", &path)).await;
    served.assert_event("user_deleted", "api");

    let client = json!({ "type": "confidential" });
    let added = served.call("POST", "/api/clients", &client).await;
    served.assert_event("client_added", "api");
    let id = added.json()["client_id"].as_str().unwrap().to_owned();
    let disable = served.request("POST", &format!("/clients/{id}/disable"));
    served.operate(disable.form(&[("", "")])).await;
    served.assert_event("client_changed", "page");
    served.operate(served.request("DELETE", &format!("/api/clients/{id}"))).await;
    served.assert_event("client_deleted", "api");
}

#[tokio::test]
async fn user_change_event_names_changed_fields_and_new_values() {
    let served = Served::start();
    let user = json!({ "username": "yves", "password": "long enough", "scopes": ["read"] });
    let added = served.call("POST", "/api/users", &user).await;
    let event = served.event("user_added");
    assert_eq!([&event["enabled"], &event["scopes"]], [&json!(true), &json!("read")], "{event}");
    let path = format!("/api/users/{}", added.json()["id"].as_str().unwrap());
    let changes = ["renamed", "scopes_changed", "password_changed"];
    for (change, changed, scopes) in [
        (json!({ "username": "Yves" }), [true, false, false], json!("read")),
        (json!({ "scopes": ["read", "write"] }), [false, true, false], json!("read write")),
        (json!({ "scopes": null }), [false, true, false], Value::Null),
        (json!({ "scopes": [] }), [false, true, false], json!("")),
        (json!({ "enabled": false }), [false, false, false], json!("")),
    ] {
        let answer = served.call("PATCH", &path, &change).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let event = served.event("user_changed");
        assert_eq!(changes.map(|name| &event[name]), changed, "{event}");
        assert_eq!([&event["username"], &event["scopes"]], [&json!("Yves"), &scopes], "{event}");
    }
    let password = json!({ "password": "a new one" });
    let set = served.call("POST", &format!("{path}/password"), &password).await;
    let event = served.event("user_changed");
    assert_eq!(set.status, 204, "{set:?}");
    assert_eq!(changes.map(|name| &event[name]), [false, false, true], "{event}");
    assert!(!event.to_string().contains("a new one"), "{event}");
}

#[tokio::test]
async fn client_change_event_names_changed_fields_and_new_values() {
    let served = Served::start();
    let client = json!({ "type": "confidential", "grants": ["password"], "scopes": ["a"] });
    let added = served.call("POST", "/api/clients", &client).await;
    let event = served.event("client_added");
    let members = ["confidential", "grants", "scopes", "default_scopes", "introspection"];
    let values = [json!(true), json!("password"), json!("a"), json!(""), json!(false)];
    assert_eq!(members.map(|name| event[name].clone()), values, "{event}");
    let path = format!("/api/clients/{}", added.json()["client_id"].as_str().unwrap());
    for (change, changed) in [
        (json!({ "name": "shop" }), "renamed"),
        (json!({ "grants": ["password", "refresh_token"] }), "grants_changed"),
        (json!({ "scopes": ["a", "b"] }), "scopes_changed"),
        (json!({ "default_scopes": ["b"] }), "default_scopes_changed"),
        (json!({ "introspection": true }), "introspection_changed"),
        (json!({ "introspect_refresh_tokens": true }), "introspect_refresh_tokens_changed"),
        (json!({ "session_ttl": 60 }), "lifetimes_changed"),
    ] {
        let answer = served.call("PATCH", &path, &change).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let event = served.event("client_changed");
        assert_eq!(event[changed], true, "{event}");
        for (name, value) in event.as_object().unwrap() {
            if name == "renamed" || name.ends_with("_changed") {
                assert_eq!(value.as_bool().unwrap(), name == changed, "{event}");
            }
        }
    }
    let rotated = served.call("POST", &format!("{path}/secret"), &json!({})).await;
    let event = served.event("client_changed");
    assert_eq!((rotated.status, &event["secret_changed"]), (200, &json!(true)), "{event}");
    let values = [json!(true), json!("password refresh_token"), json!("a b"), json!("b")];
    let members = ["enabled", "grants", "scopes", "default_scopes"];
    assert_eq!(members.map(|name| event[name].clone()), values, "{event}");
    assert!(!event.to_string().contains(rotated.json()["client_secret"].as_str().unwrap()));
}

#[tokio::test]
async fn failed_operator_login_is_audited_with_address_only() {
    let served = Served::start();
    for (path, via) in [("/users", "page"), ("/api/users", "api")] {
        let request = served.request("GET", path).basic_auth("somebody", Some("wrong"));
        assert_eq!(send(request).await.status, 401);
        let event = served.event("management_authentication");
        assert_eq!([&event["via"], &event["address"]], [via, CALLER], "{event}");
        assert_eq!(event["operator"], Value::Null);
    }
}

#[test]
fn command_line_changes_are_audited_without_operator() {
    let folder = tempfile::tempdir().unwrap();
    let mut adding = sentinel(folder.path());
    adding.args(["user", "add", "zoe", "--password-stdin", "--set", "password.memory_kib=64"]);
    adding.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut adding = adding.spawn().unwrap();
    adding.stdin.take().unwrap().write_all(b"long enough").unwrap();
    let output = adding.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stderr).unwrap();
    let (created, event) = lines.split_once('\n').unwrap();
    assert!(created.starts_with("sentinel: created the store "), "{lines}");
    let event: Value = serde_json::from_str(event).unwrap();
    assert_eq!([&event["event"], &event["via"]], ["user_added", "command line"], "{event}");
    assert_eq!((&event["operator"], &event["address"]), (&Value::Null, &Value::Null));
}
