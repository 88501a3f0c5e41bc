//! Request bodies that are refused, and the responses to them.

use serde_json::json;

use super::{App, TestResponse, managed};
use crate::helpers::send;

async fn post_raw(app: &App, media_type: &str, body: impl Into<Vec<u8>>) -> TestResponse {
    send(app.api("POST", "/users").header("content-type", media_type).body(body.into())).await
}

#[tokio::test]
async fn body_of_other_media_type_than_json_is_415() {
    let app = managed().spawn().await;
    let body = r#"{"username":"bob","password":"long enough"}"#;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/merge-patch+json",
        "application/jsonx",
        "",
    ] {
        let refused = post_raw(&app, media_type, body).await;
        refused.assert_problem(415);
        assert_eq!(refused.header("accept"), Some("application/json"), "{media_type}");
    }
    send(app.api("POST", "/users").body(body)).await.assert_problem(415);
    let twice = app.api("POST", "/users").header("content-type", "application/json");
    send(twice.header("content-type", "application/json").body(body)).await.assert_problem(415);
    let packed = app.api("POST", "/users").header("content-type", "application/json");
    let packed = send(packed.header("content-encoding", "gzip").body(body)).await;
    packed.assert_problem(415);
    assert_eq!(packed.header("accept-encoding"), Some("identity"));
    assert!(packed.text_of("detail").contains("Content-Encoding"), "{packed:?}");

    let patch = send(app.api("PATCH", &app.alice()).body("{}")).await;
    patch.assert_problem(415);
    let patches = Some("application/merge-patch+json, application/json");
    assert_eq!((patch.header("accept-patch"), patch.header("accept")), (patches, patches));
    // RFC 8259 §11: JSON has no charset parameter; one that is sent anyway has no effect.
    for (name, parameters) in [("bob", " ; charset=\"UTF-8\""), ("eve", ";charset=latin1")] {
        let media_type = format!("Application/JSON{parameters}");
        let answer = post_raw(&app, &media_type, body.replace("bob", name)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

#[tokio::test]
async fn malformed_json_is_400() {
    let app = managed().spawn().await;
    for body in [
        &b""[..],
        b" ",
        b"{",
        b"{\"username\":\"bob\",\"password\":\"p\"",
        b"{\"username\":\"bob\",\"password\":\"p\"} x",
        b"{'username':'bob','password':'p'}",
        b"{\"username\":\"\xff\",\"password\":\"p\"}",
        b"{\"username\":\"\\ud800\",\"password\":\"p\"}",
        b"username=bob&password=p",
        b"\xef\xbb\xbf{\"username\":\"bob\",\"password\":\"p\"}",
    ] {
        post_raw(&app, "application/json", body).await.assert_problem(400);
    }
    let deep = "[".repeat(5000);
    let nested = format!(r#"{{"username":"bob","password":"long enough","scopes":{deep}"#);
    assert!(matches!(post_raw(&app, "application/json", nested).await.status, 400 | 422));
}

#[tokio::test]
async fn invalid_member_is_reported_with_json_pointer() {
    let app = managed().spawn().await;
    let long = "x".repeat(256);
    for (body, pointer) in [
        (json!(null), ""),
        (json!([]), ""),
        (json!("bob"), ""),
        (json!(["bob", "p", null, true]), ""),
        (json!({}), ""),
        (json!({ "username": "bob" }), ""),
        (json!({ "username": null, "password": "long enough" }), "/username"),
        (json!({ "username": 7, "password": "long enough" }), "/username"),
        (json!({ "username": "", "password": "long enough" }), "/username"),
        (json!({ "username": "b\u{200b}ob", "password": "long enough" }), "/username"),
        (json!({ "username": "b\nob", "password": "long enough" }), "/username"),
        (json!({ "username": long, "password": "long enough" }), "/username"),
        (json!({ "username": "0123456789abcdef01234567", "password": "long enough" }), "/username"),
        (json!({ "username": "bob", "password": "" }), "/password"),
        (json!({ "username": "bob", "password": "a\u{0}b" }), "/password"),
        (json!({ "username": "bob", "password": "sh\u{f6}rter" }), "/password"),
        (json!({ "username": "bob", "password": ["p"] }), "/password"),
        (json!({ "username": "bob", "password": "long enough", "scopes": "read" }), "/scopes"),
        (
            json!({ "username": "bob", "password": "long enough", "scopes": ["a", "b c"] }),
            "/scopes/1",
        ),
        (json!({ "username": "bob", "password": "long enough", "scopes": [""] }), "/scopes/0"),
        (json!({ "username": "bob", "password": "long enough", "scopes": ["a\"b"] }), "/scopes/0"),
        (json!({ "username": "bob", "password": "long enough", "enabled": null }), "/enabled"),
        (json!({ "username": "bob", "password": "long enough", "enabled": "no" }), "/enabled"),
        (json!({ "username": "bob", "password": "long enough", "~/admin": true }), "/~0~1admin"),
        (json!({ "username": "bob", "password": "long enough", "id": "x" }), "/id"),
    ] {
        let refused = app.send_json("POST", "/users", &body).await;
        assert!(!refused.assert_invalid(pointer).contains("line"), "{body}");
    }
    let twice = r#"{"username":"bob","username":"eve","password":"long enough"}"#;
    post_raw(&app, "application/json", twice).await.assert_problem(422);
    assert!(app.admin.user("bob").await.is_err());
}

#[tokio::test]
async fn invalid_patch_member_is_reported_with_json_pointer() {
    let app = managed().spawn().await;
    for (body, pointer) in [
        (json!({ "username": null }), "/username"),
        (json!({ "enabled": null }), "/enabled"),
        (json!({ "password": "long enough" }), "/password"),
        (json!({ "id": app.user.id.to_string() }), "/id"),
        (json!([]), ""),
    ] {
        app.send_json("PATCH", &app.alice(), &body).await.assert_invalid(pointer);
    }
    for (body, pointer) in [
        (json!({ "grants": [] }), "/grants"),
        (json!({ "grants": ["implicit"] }), "/grants/0"),
        (json!({ "grants": [{ "password": null }] }), "/grants/0"),
        (json!({ "grants": null }), "/grants"),
        (json!({ "name": null }), "/name"),
        (json!({ "scopes": null }), "/scopes"),
        (json!({ "access_token_ttl": 0 }), "/access_token_ttl"),
        (json!({ "access_token_ttl": -1 }), "/access_token_ttl"),
        (json!({ "access_token_ttl": 1.5 }), "/access_token_ttl"),
        (json!({ "session_ttl": 3_153_600_001_u64 }), "/session_ttl"),
        (json!({ "session_ttl": u64::MAX }), "/session_ttl"),
        (json!({ "session_ttl": "1h" }), "/session_ttl"),
        (json!({ "type": "confidential" }), "/type"),
        (json!({ "client_secret": "s" }), "/client_secret"),
    ] {
        app.send_json("PATCH", &app.confidential(), &body).await.assert_invalid(pointer);
    }
}

#[tokio::test]
async fn body_larger_than_max_body_is_413() {
    let app = managed().set("server.max_body", "300").spawn().await;
    let body = |length: usize| {
        let start = r#"{"username":"bob","password":""#;
        format!("{start}{}\"}}", "p".repeat(length - start.len() - 2))
    };
    let large = post_raw(&app, "application/json", body(301)).await;
    large.assert_problem(413);
    assert_eq!(post_raw(&app, "application/json", body(300)).await.status, 201);
}

#[tokio::test]
async fn full_password_queue_is_503_with_retry_after() {
    let slow = managed().set("password.workers", "1").set("password.queue", "1");
    let app =
        slow.set("password.memory_kib", "65536").set("password.iterations", "4").spawn().await;
    let calls = (0..24).map(|n| {
        let body = json!({ "username": format!("user{n}"), "password": "long enough" });
        send(super::json(app.api("POST", "/users"), &body))
    });
    let answers = crate::helpers::all(calls.collect::<Vec<_>>()).await;
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
    assert!(!busy.is_empty() && busy.len() < 24, "{}", busy.len());
    for answer in busy {
        answer.assert_problem(503);
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn head_has_headers_of_get_and_no_body() {
    let app = managed().spawn().await;
    for path in ["/users".to_owned(), app.alice(), app.public(), "/openapi.json".to_owned()] {
        let (get, head) = (app.get(&path).await, send(app.api("HEAD", &path)).await);
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        assert!(get.header("content-length").is_some(), "{get:?}");
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(head.header("etag"), get.header("etag"));
    }
}
