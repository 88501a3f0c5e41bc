//! Requests to the token endpoint that are rejected before any client or user is looked up.

use sentinel::admin::NewUser;

use crate::helpers::{AppBuilder, PASSWORD, TestResponse, send, spawn_app};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn missing_parameter_is_named_in_the_error() {
    let app = spawn_app().await;
    let id = app.client.id.as_str();
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("client_id", id)], "grant_type"),
        (&[("grant_type", ""), ("client_id", id)], "grant_type"),
        (&[("grant_type", "password"), ("client_id", id), ("password", "x")], "username"),
        (&[("grant_type", "password"), ("client_id", id), ("username", "x")], "password"),
        (&[("grant_type", "refresh_token"), ("client_id", id)], "refresh_token"),
    ];
    for (form, missing) in cases {
        let answer = app.post("/oauth/token", form).await;
        answer.assert_error(400, "invalid_request");
        assert!(answer.text_of("error_description").contains(missing), "{answer:?}");
    }
}

#[tokio::test]
async fn parameters_in_the_url_are_not_read() {
    let app = spawn_app().await;
    let id = app.client.id.as_str();
    let query = format!("?grant_type=password&client_id={id}&username=alice&password={PASSWORD}");
    let path = format!("/oauth/token{query}");
    app.post_raw(&path, FORM, "").await.assert_error(400, "invalid_request");
    let rest = format!("grant_type=password&client_id={id}&username=alice");
    app.post_raw(&path, FORM, rest).await.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn repeated_parameter_is_rejected_unless_unknown() {
    let app = spawn_app().await;
    let id = app.client.id.as_str();
    for twice in ["username", "password", "scope", "client_id", "grant_type", "client_secret"] {
        let answer = app.login_with(&[(twice, "x"), (twice, "y")]).await;
        answer.assert_error(400, "invalid_request");
    }
    let answer = app.login_with(&[("resource", "a"), ("resource", "b"), ("x", id)]).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn malformed_bodies_are_invalid_request() {
    let app = spawn_app().await;
    let base = format!(
        "grant_type=password&client_id={}&username=alice&password=",
        app.client.id.as_str()
    );
    let bad_tails: [&[u8]; 7] = [b"%", b"%4", b"%zz", b"%ff", b"\xff\xfe", b"%c3", b"%\0\0"];
    for tail in bad_tails {
        let body = [base.as_bytes(), tail].concat();
        app.post_raw("/oauth/token", FORM, body).await.assert_error(400, "invalid_request");
    }
    for body in ["", "&&&&", "====", "{\"grant_type\":\"password\"}", "%00=%00"] {
        let answer = app.post_raw("/oauth/token", FORM, body).await;
        answer.assert_error(400, "invalid_request");
    }
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let app = spawn_app().await;
    let body = format!(
        "grant_type=password&client_id={}&username=alice&password={}",
        app.client.id.as_str(),
        PASSWORD.replace(' ', "+")
    );
    assert_eq!(app.post_raw("/oauth/token", FORM, body.clone()).await.status, 200);
    let more = format!("{FORM}x");
    let refused = |answer: &TestResponse| {
        answer.assert_error(400, "invalid_request");
        let description = answer.text_of("error_description");
        assert!(description.contains("one Content-Type: application/x-www"), "{description}");
    };
    for media_type in ["application/json", "text/plain", "multipart/form-data", "", "%", ";", &more]
    {
        refused(&app.post_raw("/oauth/token", media_type, body.clone()).await);
    }
    refused(&send(app.request("POST", "/oauth/token").body(body.clone())).await);
    let twice = app.request("POST", "/oauth/token").header("content-type", FORM);
    refused(&send(twice.header("content-type", FORM).body(body)).await);
}

#[tokio::test]
async fn parameters_of_the_media_type_are_ignored() {
    let app = spawn_app().await;
    let token = app.login().await.access_token();
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let proof = format!("client_id={id}&client_secret={secret}");
    for parameters in [
        "",
        "; charset=ISO-8859-1",
        ";charset=\"utf-8\"",
        " ; charset=utf-16;q=1",
        ";",
        "; boundary=x",
        "; \u{e4}",
    ] {
        let media_type = format!("Application/X-WWW-Form-Urlencoded{parameters}");
        for (path, parameter) in [
            ("/oauth/token", "grant_type=client_credentials".to_owned()),
            ("/oauth/introspect", format!("token={token}")),
            ("/oauth/revoke", "token=x".to_owned()),
        ] {
            let answer = app.post_raw(path, &media_type, format!("{proof}&{parameter}")).await;
            assert_eq!(answer.status, 200, "{media_type} {answer:?}");
        }
    }
}

#[tokio::test]
async fn form_is_read_as_utf_8_whatever_charset_is_declared() {
    let app = spawn_app().await;
    let password = app.admin.user("alice").await.unwrap().password;
    let user = NewUser { username: "J\u{f6}rg".into(), password, scopes: None, enabled: true };
    app.admin.add_user(user).await.unwrap();
    let latin = format!("{FORM}; charset=ISO-8859-1");
    let rest = format!(
        "&grant_type=password&client_id={}&password={}",
        app.client.id,
        PASSWORD.replace(' ', "+")
    );
    for name in [&b"J%C3%B6rg"[..], "J\u{f6}rg".as_bytes()] {
        let body = [b"username=", name, rest.as_bytes()].concat();
        assert_eq!(app.post_raw("/oauth/token", &latin, body).await.status, 200);
    }
    for name in [&b"J%F6rg"[..], b"J\xf6rg"] {
        let body = [b"username=", name, rest.as_bytes()].concat();
        let answer = app.post_raw("/oauth/token", &latin, body).await;
        answer.assert_error(400, "invalid_request");
        let description = answer.text_of("error_description");
        assert!(description.contains("not UTF-8"), "{description}");
    }
}

#[tokio::test]
async fn compressed_body_is_refused_with_the_reason() {
    let app = spawn_app().await;
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        for codings in [&["gzip"][..], &["identity", "br"], &["gzip, identity"], &[""]] {
            let request = app.request("POST", path).header("content-type", FORM);
            let request = codings
                .iter()
                .fold(request, |request, coding| request.header("content-encoding", *coding));
            let answer = send(request.body("grant_type=password")).await;
            answer.assert_error(400, "invalid_request");
            let description = answer.text_of("error_description");
            assert!(description.contains("Content-Encoding"), "{codings:?} {description}");
        }
    }
    let plain = app.request("POST", "/oauth/revoke").header("content-encoding", "Identity");
    let form = [("client_id", app.client.id.as_str()), ("token", "x")];
    assert_eq!(send(plain.form(&form)).await.status, 200);
}

#[tokio::test]
async fn oversized_body_is_rejected_with_or_without_content_length() {
    let app = spawn_app().await;
    let huge = vec![b'a'; 1 << 20];
    let answer = app.post_raw("/oauth/token", FORM, huge.clone()).await;
    answer.assert_error(413, "invalid_request");
    let just_fits = vec![b'a'; 16 << 10];
    let answer = app.post_raw("/oauth/token", FORM, just_fits).await;
    answer.assert_error(400, "invalid_request");
    let too_long = vec![b'a'; (16 << 10) + 1];
    let answer = app.post_raw("/oauth/token", FORM, too_long).await;
    answer.assert_error(413, "invalid_request");
    // A chunked body, without `Content-Length`.
    let status = crate::helpers::raw_exchange(
        &app,
        &[
            b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
              Content-Type: application/x-www-form-urlencoded\r\n\r\n",
            format!("8000\r\n{}\r\n", "a".repeat(0x8000)).as_bytes(),
        ],
    )
    .await;
    assert!(status.starts_with("HTTP/1.1 413"), "{status}");
}

#[tokio::test]
async fn incomplete_body_is_answered_408_after_the_timeout() {
    let app = AppBuilder::default().set("server.request_timeout", "1s").spawn().await;
    let answer = crate::helpers::raw_exchange(
        &app,
        &[b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\
            Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type="],
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("invalid_request"), "{answer}");
}

#[tokio::test]
async fn other_methods_are_rejected_with_405_and_allow() {
    let app = spawn_app().await;
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            let answer = send(app.request(method, path)).await;
            answer.assert_error(405, "invalid_request");
            assert_eq!(answer.header("allow"), Some("POST"));
        }
        assert_eq!(send(app.request("HEAD", path)).await.status, 405);
    }
    let nowhere = send(app.request("GET", "/oauth/nothing")).await;
    assert_eq!(nowhere.status, 404);
}
