//! The token endpoint (RFC 6749 §3.2): what is granted, and every way to be refused.

use crate::helpers::{AppBuilder, PASSWORD, send, spawn_app};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_password_login_answers_a_bearer_token_and_a_refresh_token() {
    let app = spawn_app().await;
    let answer = app.login().await;
    answer.assert_json_for_nobody_to_keep();
    insta::assert_json_snapshot!(answer.json(), {
        ".access_token" => insta::dynamic_redaction(|value, _| {
            assert!(value.as_str().unwrap().starts_with("sna_"));
            "[access token]"
        }),
        ".refresh_token" => insta::dynamic_redaction(|value, _| {
            assert!(value.as_str().unwrap().starts_with("snr_"));
            "[refresh token]"
        }),
    }, @r#"
    {
      "access_token": "[access token]",
      "expires_in": 3600,
      "refresh_token": "[refresh token]",
      "scope": "read write",
      "token_type": "Bearer"
    }
    "#);
}

#[tokio::test]
async fn wrong_user_wrong_password_and_disabled_user_look_the_same() {
    let app = spawn_app().await;
    let wrong_password = app.login_with_password("alice", "wrong").await;
    let wrong_user = app.login_with_password("bob", PASSWORD).await;
    app.disable_user().await;
    let disabled = app.login_with_password("alice", PASSWORD).await;
    for answer in [&wrong_password, &wrong_user, &disabled] {
        answer.assert_error(400, "invalid_grant");
        assert_eq!(answer.text, wrong_password.text);
    }
}

#[tokio::test]
async fn an_odd_password_or_name_is_wrong_and_nothing_worse() {
    let app = spawn_app().await;
    for text in ["\u{202e}x", "%00", "' OR 1=1 --", "\u{1f511}", &"x".repeat(10_000)] {
        let answer = app.login_with_password("alice", text).await;
        answer.assert_error(400, "invalid_grant");
        app.login_with_password(text, "wrong").await.assert_error(400, "invalid_grant");
    }
    // RFC 6749 Appendix A: control characters are in neither.
    for text in ["a\0", "a\r\nb", "\u{7f}"] {
        app.login_with_password("alice", text).await.assert_error(400, "invalid_request");
        app.login_with_password(text, "x").await.assert_error(400, "invalid_request");
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
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
async fn a_repeated_parameter_is_refused_and_an_unknown_one_is_not() {
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
async fn malformed_bodies_answer_json() {
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
    let good = [FORM, "Application/X-WWW-Form-Urlencoded", &format!("{FORM}; charset=UTF-8")];
    for media_type in good {
        let answer = app.post_raw("/oauth/token", media_type, body.clone()).await;
        assert_eq!(answer.status, 200, "{media_type}");
    }
    let latin = format!("{FORM};charset=latin1");
    for media_type in ["application/json", "text/plain", "multipart/form-data", "", "%", &latin] {
        let answer = app.post_raw("/oauth/token", media_type, body.clone()).await;
        answer.assert_error(400, "invalid_request");
    }
    let untyped = send(app.request("POST", "/oauth/token").body(body.clone())).await;
    untyped.assert_error(400, "invalid_request");
    let zipped = app.request("POST", "/oauth/token").header("content-type", FORM);
    let zipped = send(zipped.header("content-encoding", "gzip").body(body)).await;
    zipped.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn a_huge_body_is_refused_whether_announced_or_not() {
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
    // A body without a length.
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
async fn a_body_that_does_not_arrive_is_not_waited_for_forever() {
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
async fn other_methods_answer_405_and_say_which_one_is_right() {
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

#[tokio::test]
async fn a_grant_that_is_unknown_or_off_or_not_the_clients_is_refused() {
    let app = AppBuilder::default().set("oauth.grants", "password,refresh_token").spawn().await;
    for grant in ["authorization_code", "implicit", "PASSWORD", "client_credentials", "\u{1f511}"] {
        let answer = app.post_as_backend("/oauth/token", &[("grant_type", grant)]).await;
        answer.assert_error(400, "unsupported_grant_type");
    }
    let app = spawn_app().await;
    let form = [("grant_type", "client_credentials"), ("client_id", app.client.id.as_str())];
    app.post("/oauth/token", &form).await.assert_error(400, "unauthorized_client");
}

#[tokio::test]
async fn a_client_that_may_not_refresh_gets_no_refresh_token() {
    let app = spawn_app().await;
    app.set_grants("password").await;
    let answer = app.login().await;
    assert!(answer.json().get("refresh_token").is_none(), "{answer:?}");
    app.refresh("snr_x").await.assert_error(400, "unauthorized_client");
}

#[tokio::test]
async fn a_confidential_client_acts_for_itself() {
    let app = spawn_app().await;
    let form = [("grant_type", "client_credentials"), ("scope", "admin")];
    let answer = app.post_as_backend("/oauth/token", &form).await;
    assert_eq!(answer.status, 200);
    // RFC 6749 §4.4.3: "A refresh token SHOULD NOT be included."
    assert!(answer.json().get("refresh_token").is_none());
    assert_eq!(answer.text_of("scope"), "admin");
    let told = app.introspect(&answer.access_token()).await.json();
    assert_eq!(told["sub"], app.backend.id.as_str());
    assert!(told.get("username").is_none());
}

#[tokio::test]
async fn scopes_are_those_asked_for_within_what_client_and_user_may_have() {
    let app = spawn_app().await;
    assert_eq!(app.login().await.text_of("scope"), "read write");
    for (asked, granted) in [
        ("read", "read"),
        ("admin read", "admin read"),
        (" read  write ", "read write"),
        ("", "read write"),
        (" ", "read write"),
    ] {
        let answer = app.login_with(&[("scope", asked)]).await;
        assert_eq!(answer.text_of("scope"), granted, "asked for {asked:?}");
    }
    for asked in ["other", "read other", "READ", "re\"ad", "a\\b", "read\nwrite", "l\u{e4}sen"] {
        app.login_with(&[("scope", asked)]).await.assert_error(400, "invalid_scope");
    }
    app.limit_user("read").await;
    assert_eq!(app.login().await.text_of("scope"), "read");
    app.login_with(&[("scope", "write")]).await.assert_error(400, "invalid_scope");
    // The password is checked first: a scope tells nothing about a user.
    let form = [("scope", "write"), ("username", "bob")];
    app.login_with(&form[..1]).await.assert_error(400, "invalid_scope");
    let unknown = app.login_as("bob", "x", &[("scope", "write")]).await;
    unknown.assert_error(400, "invalid_grant");
    let wrong = app.login_as("alice", "x", &[("scope", "write")]).await;
    wrong.assert_error(400, "invalid_grant");
    app.limit_user("").await;
    assert_eq!(app.login().await.text_of("scope"), "");
}

#[tokio::test]
async fn a_login_that_needs_a_full_queue_is_told_to_come_back() {
    let app = AppBuilder::default()
        .set("password.queue", "1")
        .set("password.workers", "1")
        .set("password.memory_kib", "16384")
        .set("password.iterations", "4")
        .spawn()
        .await;
    let logins: Vec<_> = (0..12).map(|_| app.login_with(&[])).collect();
    let answers = crate::helpers::all(logins).await;
    let (good, busy): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!good.is_empty() && !busy.is_empty(), "{} {}", good.len(), busy.len());
    for answer in busy {
        answer.assert_error(503, "temporarily_unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn errors_point_to_a_page_when_the_server_knows_its_own_address() {
    let app = AppBuilder::default().set("server.public_url", "https://id.example").spawn().await;
    let answer = app.login_with_password("alice", "wrong").await;
    assert_eq!(answer.text_of("error_uri"), "https://id.example/oauth/errors");
    let app = spawn_app().await;
    let answer = app.login_with_password("alice", "wrong").await;
    assert!(answer.json().get("error_uri").is_none());
}

#[tokio::test]
async fn the_old_status_codes_are_answered_on_request() {
    let app = AppBuilder::default().set("compat.flask_sentinel_status", "true").spawn().await;
    app.login_with_password("alice", "wrong").await.assert_error(401, "invalid_grant");
    app.login_with(&[("scope", "other")]).await.assert_error(401, "invalid_scope");
    let form = [("grant_type", "client_credentials"), ("client_id", app.client.id.as_str())];
    app.post("/oauth/token", &form).await.assert_error(401, "unauthorized_client");
    app.login_with(&[("scope", "a"), ("scope", "b")]).await.assert_error(400, "invalid_request");
    // flask-sentinel had no other endpoint.
    app.set_introspection(false).await;
    app.introspect("x").await.assert_error(403, "unauthorized_client");
}

#[tokio::test]
async fn paths_can_be_moved_and_switched_off() {
    let app = AppBuilder::default()
        .set("oauth.route_prefix", "/auth")
        .set("oauth.token_url", "/t")
        .set("oauth.introspection_url", "false")
        .spawn()
        .await;
    let form = [("grant_type", "x"), ("client_id", app.client.id.as_str())];
    app.post("/auth/t", &form).await.assert_error(400, "unsupported_grant_type");
    assert_eq!(app.post("/auth/introspect", &[]).await.status, 404);
    assert_eq!(app.post("/oauth/token", &[]).await.status, 404);
}
