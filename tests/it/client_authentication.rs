//! Tests of client authentication (RFC 6749 §2.3).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sentinel::admin::{ImportResult, ImportedClient, NewClient, Versions};
use sentinel::domain::{ClientKind, Digest, Scope, StoredSecret};

use crate::helpers::{App, AppBuilder, PASSWORD, TestResponse, send, spawn_app};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// Sends a client credentials request with this `Authorization` header.
async fn with_header(app: &App, header: &str, form: &[(&str, &str)]) -> TestResponse {
    let request = app.request("POST", "/oauth/token").header("authorization", header);
    send(request.form(&[&[GRANT], form].concat())).await
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test]
async fn client_secret_is_accepted_in_header_or_body() {
    let app = spawn_app().await;
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let both_right = basic(id, secret);
    for header in
        [&both_right, &both_right.replace("Basic", "bAsIc"), &both_right.replace(' ', "  ")]
    {
        assert_eq!(with_header(&app, header, &[]).await.status, 200, "{header}");
    }
    assert_eq!(with_header(&app, &both_right, &[("client_id", id)]).await.status, 200);
    let in_body = [GRANT, ("client_id", id), ("client_secret", secret)];
    assert_eq!(app.post("/oauth/token", &in_body).await.status, 200);
    // RFC 6749 §2.3.1 requires id and secret to be form-encoded.
    let encoded = basic(id, &secret.replacen("sns_", "%73ns%5F", 1));
    assert_eq!(with_header(&app, &encoded, &[]).await.status, 200);
}

/// Registers a client with this id, as an import does. It is confidential if `secret` is given.
async fn import(app: &App, id: &str, secret: Option<&str>) {
    let kind = secret.map_or(ClientKind::Public, |secret| {
        ClientKind::Confidential(StoredSecret::Digest(Digest::of(secret.as_bytes())))
    });
    let confidential = secret.is_some();
    let scopes: Scope = "read".parse().unwrap();
    let client = NewClient {
        name: id.to_owned(),
        confidential,
        introspection: confidential,
        default_scopes: scopes,
        ..NewClient::default()
    };
    let new = ImportedClient { id: id.parse().unwrap(), kind, enabled: true, client };
    assert_eq!(app.admin.import_client(new).await.unwrap(), ImportResult::Added);
}

/// Returns the client id to which the tokens in this answer were issued.
async fn client_of(app: &App, answer: &TestResponse) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    app.introspect(&answer.access_token()).await.text_of("client_id")
}

#[tokio::test]
async fn failed_client_authentication_reveals_neither_existence_nor_secret() {
    let app = spawn_app().await;
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let unknown = "x".repeat(40);
    let headers = [
        basic(id, "wrong"),
        basic(&unknown, secret),
        basic(id, ""),
        basic(id, &format!("{secret}x")),
        basic("%zz", "%"),
        basic(&"x".repeat(3000), "y"),
    ];
    let expected = with_header(&app, &headers[0], &[]).await;
    assert_eq!(expected.text_of("error_description"), "client authentication failed");
    for header in &headers {
        let answer = with_header(&app, header, &[]).await;
        answer.assert_error(401, "invalid_client");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "));
        assert_eq!(answer.text, expected.text, "{header}");
    }
    let in_body = [
        vec![GRANT, ("client_id", &unknown)],
        vec![GRANT, ("client_id", id)],
        vec![GRANT, ("client_id", id), ("client_secret", "wrong")],
        vec![GRANT, ("client_id", "\u{1f511}"), ("client_secret", secret)],
        // A public client has no secret, so none can match.
        vec![GRANT, ("client_id", app.client.id.as_str()), ("client_secret", "x")],
    ];
    for form in in_body {
        let answer = app.post("/oauth/token", &form).await;
        answer.assert_error(401, "invalid_client");
        assert_eq!(answer.text, expected.text, "{form:?}");
    }
}

#[tokio::test]
async fn request_without_client_id_is_told_how_to_send_one() {
    let app = spawn_app().await;
    let secret = app.backend_secret.as_str();
    for (path, name) in FORMS {
        let form = [(name, "x")];
        let mut answers = vec![app.post(path, &form).await];
        for header in [basic("", ""), basic("", secret), "Bearer abc".to_owned()] {
            let request = app.request("POST", path).header("authorization", header);
            answers.push(send(request.form(&form)).await);
        }
        answers.push(app.post(path, &[(name, "x"), ("client_id", "")]).await);
        answers.push(app.post(path, &[(name, "x"), ("client_secret", secret)]).await);
        for answer in answers {
            answer.assert_error(401, "invalid_client");
            let description = answer.text_of("error_description");
            assert!(description.starts_with("no client id was sent: send client_id"), "{path}");
        }
    }
}

#[tokio::test]
async fn undecodable_basic_credentials_are_named_as_the_reason() {
    let app = spawn_app().await;
    let not_utf8 = format!("Basic {}", BASE64_STANDARD.encode(b"\xff\xfe:x"));
    let no_colon = format!("Basic {}", BASE64_STANDARD.encode(app.backend.id.as_str()));
    for header in ["Basic ????", "Basic", "basic  ", &not_utf8, &no_colon] {
        let answer = with_header(&app, header, &[]).await;
        answer.assert_error(401, "invalid_client");
        let description = answer.text_of("error_description");
        assert!(description.starts_with("the Basic credentials are malformed"), "{header}");
    }
}

#[tokio::test]
async fn public_client_at_introspection_is_told_to_use_a_confidential_one() {
    let app = spawn_app().await;
    let form = [("client_id", app.client.id.as_str()), ("token", "x")];
    let answer = app.post("/oauth/introspect", &form).await;
    answer.assert_error(401, "invalid_client");
    assert!(answer.text_of("error_description").contains("confidential"), "{answer:?}");
}

/// Endpoints that authenticate clients, each with a parameter that it requires.
const FORMS: [(&str, &str); 3] =
    [("/oauth/token", "grant_type"), ("/oauth/introspect", "token"), ("/oauth/revoke", "token")];

#[tokio::test]
async fn authorization_of_another_scheme_than_basic_is_ignored() {
    let app = spawn_app().await;
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let login = [
        ("grant_type", "password"),
        ("client_id", app.client.id.as_str()),
        ("username", "alice"),
        ("password", PASSWORD),
    ];
    let token = app.login().await.access_token();
    let authenticated = [("client_id", id), ("client_secret", secret)];
    for header in ["", " ", "Bearer OLD", "Negotiate YII=", "Digest username=\"x\"", "Basically x"]
    {
        let post = |path: &str| app.request("POST", path).header("authorization", header);
        let answer = send(post("/oauth/token").form(&login)).await;
        assert_eq!(answer.status, 200, "{header:?} {answer:?}");
        let own = send(post("/oauth/token").form(&[&[GRANT][..], &authenticated].concat())).await;
        assert_eq!(own.status, 200, "{header:?} {own:?}");
        for _ in 0..2 {
            let form = [&[("token", token.as_str())][..], &authenticated].concat();
            let introspected = send(post("/oauth/introspect").form(&form)).await;
            assert_eq!(introspected.json()["active"], true, "{header:?} {introspected:?}");
        }
        let form = [("client_id", app.client.id.as_str()), ("token", "x")];
        assert_eq!(send(post("/oauth/revoke").form(&form)).await.status, 200, "{header:?}");
        // Beside a Basic header too.
        let request = post("/oauth/token").header("authorization", basic(id, secret));
        assert_eq!(send(request.form(&[GRANT])).await.status, 200, "{header:?}");
    }
}

#[tokio::test]
async fn basic_header_that_names_no_client_is_ignored_beside_client_id() {
    let app = AppBuilder::default().set("throttle.failures_per_address", "2").spawn().await;
    let login = [
        ("grant_type", "password"),
        ("client_id", app.client.id.as_str()),
        ("username", "alice"),
        ("password", PASSWORD),
    ];
    for header in [&basic("staging", "s3cret"), &basic("", ""), "Basic ????", "Basic"] {
        // More often than the budget of guesses allows: the header is no guess.
        for _ in 0..3 {
            let request = app.request("POST", "/oauth/token").header("authorization", header);
            assert_eq!(send(request.form(&login)).await.status, 200, "{header}");
            let form = [("client_id", app.client.id.as_str()), ("token", "x")];
            let request = app.request("POST", "/oauth/revoke").header("authorization", header);
            assert_eq!(send(request.form(&form)).await.status, 200, "{header}");
        }
        // It does not authenticate a confidential client.
        let named = [("client_id", app.backend.id.as_str())];
        with_header(&app, header, &named).await.assert_error(401, "invalid_client");
    }
    // A header that names a client is never ignored, whether its secret is right or wrong.
    for secret in [app.backend_secret.as_str(), "wrong", ""] {
        let header = basic(app.backend.id.as_str(), secret);
        let request = app.request("POST", "/oauth/token").header("authorization", header);
        send(request.form(&login)).await.assert_error(400, "invalid_request");
    }
}

#[tokio::test]
async fn same_credentials_in_header_and_body_are_one_authentication() {
    let app = spawn_app().await;
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let token = app.login().await.access_token();
    let encoded = basic(id, &secret.replacen("sns_", "%73ns%5F", 1));
    for header in [&basic(id, secret), &encoded] {
        for both in [
            vec![("client_id", id), ("client_secret", secret)],
            vec![("client_id", id)],
            vec![("client_secret", secret)],
        ] {
            assert_eq!(with_header(&app, header, &both).await.status, 200, "{both:?}");
            for (path, name) in [("/oauth/introspect", "token"), ("/oauth/revoke", "token")] {
                let form = [&[(name, "x")], &both[..]].concat();
                let request = app.request("POST", path).header("authorization", header);
                assert_eq!(send(request.form(&form)).await.status, 200, "{path} {both:?}");
            }
        }
    }
    // lua-resty-openidc sends both with every introspection request.
    let form = [("client_id", id), ("client_secret", secret), ("token", &token)];
    for _ in 0..3 {
        let request = app.request("POST", "/oauth/introspect").basic_auth(id, Some(secret));
        assert_eq!(send(request.form(&form)).await.json()["active"], true);
    }
}

#[tokio::test]
async fn different_credentials_in_header_and_body_are_invalid_request() {
    let app = spawn_app().await;
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let header = basic(id, secret);
    let (public, unknown) = (app.client.id.as_str(), "x".repeat(40));
    for body in [
        vec![("client_id", id), ("client_secret", "wrong")],
        vec![("client_secret", "wrong")],
        vec![("client_id", public), ("client_secret", secret)],
        vec![("client_id", public)],
        vec![("client_id", unknown.as_str())],
    ] {
        with_header(&app, &header, &body).await.assert_error(400, "invalid_request");
    }
    // The credentials in the body are right, but those in the header are other ones.
    let right = [("client_id", id), ("client_secret", secret)];
    for header in [basic(id, "wrong"), basic("staging", secret), "Basic ?".to_owned()] {
        with_header(&app, &header, &right).await.assert_error(400, "invalid_request");
    }
    let request = app.request("POST", "/oauth/token").form(&[GRANT]);
    let repeated = request.header("authorization", &header).header("authorization", &header);
    send(repeated).await.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn every_client_that_a_basic_id_can_name_is_tried() {
    let app = spawn_app().await;
    for (id, secret) in [("a+b", "plus-secret"), ("a b", "space-secret"), ("a%2Bb", "hex-secret")] {
        import(&app, id, Some(secret)).await;
    }
    for (sent, secret, meant) in [
        ("a+b", "plus-secret", "a+b"),
        ("a+b", "space-secret", "a b"),
        ("a%2Bb", "plus-secret", "a+b"),
        ("a%2Bb", "hex-secret", "a%2Bb"),
        ("a%20b", "space-secret", "a b"),
        ("a b", "space-secret", "a b"),
    ] {
        let answer = with_header(&app, &basic(sent, secret), &[]).await;
        assert_eq!(client_of(&app, &answer).await, meant, "{sent} {secret}");
        // The body tells which one is meant.
        let both = [("client_id", meant), ("client_secret", secret)];
        let answer = with_header(&app, &basic(sent, secret), &both).await;
        assert_eq!(client_of(&app, &answer).await, meant, "{sent} {secret}");
    }
    for (sent, secret) in [("a b", "plus-secret"), ("a%20b", "hex-secret"), ("a+b", "hex-secret")] {
        with_header(&app, &basic(sent, secret), &[]).await.assert_error(401, "invalid_client");
    }
    let other = [("client_id", "a b")];
    let answer = with_header(&app, &basic("a+b", "plus-secret"), &other).await;
    answer.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn client_id_with_colon_is_accepted_form_encoded_or_in_body() {
    let app = spawn_app().await;
    let (id, secret) = ("urn:app:1", "colon:secret");
    import(&app, id, Some(secret)).await;
    for header in [basic("urn%3Aapp%3A1", "colon%3Asecret"), basic("urn%3aapp%3a1", secret)] {
        let answer = with_header(&app, &header, &[]).await;
        assert_eq!(client_of(&app, &answer).await, id);
    }
    let in_body = [GRANT, ("client_id", id), ("client_secret", secret)];
    assert_eq!(app.post("/oauth/token", &in_body).await.status, 200);
    // RFC 7617 §2: the user ends at the first colon.
    with_header(&app, &basic(id, secret), &[]).await.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn each_reading_of_a_basic_header_counts_as_a_guess() {
    let strict = || AppBuilder::default().set("throttle.failures_per_address", "4");
    for (id, secret, guesses) in
        [("unknown", "wrong", 1), ("unknown", "wr%6Fng", 2), ("a+b", "wr%6Fng", 4)]
    {
        // The count is the same for a client that exists.
        for exists in [false, true] {
            let app = strict().spawn().await;
            if exists {
                import(&app, id, Some("secret")).await;
            }
            for _ in 0..4 / guesses {
                let answer = with_header(&app, &basic(id, secret), &[]).await;
                answer.assert_error(401, "invalid_client");
            }
            let answer = with_header(&app, &basic(id, secret), &[]).await;
            answer.assert_error(429, "temporarily_unavailable");
        }
    }
}

#[tokio::test]
async fn public_client_with_empty_secret_in_header_is_accepted() {
    let app = spawn_app().await;
    let form = [("grant_type", "password"), ("username", "alice"), ("password", PASSWORD)];
    let request = app.request("POST", "/oauth/token").form(&form);
    let answer = send(request.basic_auth(app.client.id.as_str(), Some(""))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn rotated_client_secret_replaces_old_one_immediately() {
    let app = spawn_app().await;
    let old = basic(app.backend.id.as_str(), &app.backend_secret);
    let rotated = app.admin.rotate_secret(&app.backend.id, Versions::Any).await.unwrap();
    let (_, secret) = rotated.value;
    let new = basic(app.backend.id.as_str(), secrecy::ExposeSecret::expose_secret(&secret));
    with_header(&app, &old, &[]).await.assert_error(401, "invalid_client");
    assert_eq!(with_header(&app, &new, &[]).await.status, 200);
}

#[tokio::test]
async fn disabled_client_is_refused_and_its_sessions_are_revoked() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    assert!(app.is_active(&tokens.access_token()).await);
    app.disable_client().await;
    assert!(!app.is_active(&tokens.access_token()).await);
    app.login_with(&[]).await.assert_error(401, "invalid_client");
    app.refresh(&tokens.refresh_token()).await.assert_error(401, "invalid_client");
    app.revoke(&tokens.refresh_token()).await.assert_error(401, "invalid_client");
    app.enable_client().await;
    app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
    app.login().await;
}
