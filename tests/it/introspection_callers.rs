//! Tests of the authorization of introspection requests: a refusal must not reveal the state of the
//! token (RFC 7662 §2.1, §4).

use reqwest::RequestBuilder;
use secrecy::ExposeSecret;
use sentinel::admin::NewClient;

use crate::helpers::{App, AppBuilder, TestResponse, send};

/// Returns status, headers and body of an answer, without `Date` and the random `X-Request-Id`.
fn seen(answer: &TestResponse) -> (u16, Vec<(String, Vec<u8>)>, String) {
    let own = |name: &str| name == "date" || name == "x-request-id";
    let headers = answer.headers.iter().filter(|(name, _)| !own(name.as_str()));
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    headers.sort();
    (answer.status, headers, answer.text.clone())
}

/// Description of a request that is refused, its status and error code, and a function that builds
/// it.
type RefusedRequest<'a> =
    (&'a str, u16, &'a str, Box<dyn Fn(&[(&str, &str)]) -> RequestBuilder + 'a>);

#[tokio::test]
async fn introspection_refusal_does_not_depend_on_token() {
    let app = AppBuilder::default().set("throttle.enabled", "false").spawn().await;
    let tokens = app.login().await;
    let (access, refresh) = (tokens.access_token(), tokens.refresh_token());
    let ended = app.login().await;
    app.revoke(&ended.refresh_token()).await;
    let plain = NewClient { confidential: true, ..NewClient::default() };
    let (plain, plain_secret) = app.admin.add_client(plain).await.unwrap();
    let plain_secret = plain_secret.unwrap().expose_secret().to_owned();
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let nobody = "x".repeat(40);

    let post = |form: &[(&str, &str)]| app.request("POST", "/oauth/introspect").form(form);
    let basic = |user: &str, password: &str| {
        let (user, password) = (user.to_owned(), password.to_owned());
        move |form: &[(&str, &str)]| post(form).basic_auth(&user, Some(&password))
    };
    let body = |credentials: &[(&'static str, &str)]| {
        let credentials: Vec<_> =
            credentials.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        move |form: &[(&str, &str)]| {
            let credentials = credentials.iter().map(|(name, value)| (*name, value.as_str()));
            post(&credentials.chain(form.iter().copied()).collect::<Vec<_>>())
        }
    };
    let ways: Vec<RefusedRequest<'_>> = vec![
        ("nobody", 401, "invalid_client", Box::new(post)),
        ("wrong secret", 401, "invalid_client", Box::new(basic(id, "wrong"))),
        ("no secret", 401, "invalid_client", Box::new(basic(id, ""))),
        ("unknown", 401, "invalid_client", Box::new(basic(&nobody, secret))),
        (
            "wrong secret in the body",
            401,
            "invalid_client",
            Box::new(body(&[("client_id", id), ("client_secret", "wrong")])),
        ),
        ("no secret in the body", 401, "invalid_client", Box::new(body(&[("client_id", id)]))),
        ("public", 401, "invalid_client", Box::new(body(&[("client_id", app.client.id.as_str())]))),
        ("public by header", 401, "invalid_client", Box::new(basic(app.client.id.as_str(), ""))),
        (
            "the bearer",
            401,
            "invalid_client",
            Box::new(|form: &[(&str, &str)]| post(form).bearer_auth(&access)),
        ),
        (
            "twice",
            400,
            "invalid_request",
            Box::new(|form: &[(&str, &str)]| {
                let form = [&[("client_id", id), ("client_secret", "wrong")], form].concat();
                post(&form).basic_auth(id, Some(secret))
            }),
        ),
        (
            "no permission",
            403,
            "unauthorized_client",
            Box::new(basic(plain.id.as_str(), &plain_secret)),
        ),
    ];
    for (what, status, code, way) in &ways {
        let expected = send(way(&[("token", "x")])).await;
        expected.assert_error(*status, code);
        let expected = seen(&expected);
        for token in [&access, &refresh, &ended.access_token(), &ended.refresh_token(), ""] {
            let answer = send(way(&[("token", token)])).await;
            assert_eq!(seen(&answer), expected, "{what}");
        }
        assert_eq!(seen(&send(way(&[])).await), expected, "{what}, and no token");
    }
    // Responses do not reveal whether a client exists.
    let secret_or_client = ["wrong secret", "no secret", "unknown", "wrong secret in the body"];
    let ways = ways.iter().filter(|way| secret_or_client.contains(&way.0));
    let texts = ways.map(|way| (way.3)(&[("token", &access)]));
    let mut answers = Vec::new();
    for request in texts {
        answers.push(seen(&send(request).await));
    }
    assert_eq!(answers.len(), 4);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // The token stayed active.
    assert!(app.is_active(&access).await);
}

/// The whole request is checked, even if the header is in the caller cache.
#[tokio::test]
async fn cached_client_with_conflicting_credentials_is_invalid_request() {
    let app = AppBuilder::default().spawn().await;
    let token = app.login().await.access_token();
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    let call = |more: &[(&str, &str)]| {
        let form = [&[("token", token.as_str())], more].concat();
        send(app.request("POST", "/oauth/introspect").form(&form).basic_auth(id, Some(secret)))
    };
    for _ in 0..3 {
        assert_eq!(call(&[]).await.json()["active"], true);
        assert_eq!(call(&[("client_id", id)]).await.json()["active"], true);
        let other = [("client_id", app.client.id.as_str())];
        call(&other).await.assert_error(400, "invalid_request");
        call(&[("client_secret", "wrong")]).await.assert_error(400, "invalid_request");
        let both = [("client_id", id), ("client_secret", secret)];
        assert_eq!(call(&both).await.json()["active"], true);
        let wrong = [("client_id", id), ("client_secret", "wrong")];
        call(&wrong).await.assert_error(400, "invalid_request");
        let repeated = app.request("POST", "/oauth/introspect").form(&[("token", &token)]);
        let repeated = repeated.basic_auth(id, Some(secret)).basic_auth(id, Some(secret));
        send(repeated).await.assert_error(400, "invalid_request");
    }
}

/// Builds a request of the confidential client with this media type and body.
fn raw(app: &App, path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
    let request = app.request("POST", path).header("content-type", media_type).body(body.into());
    request.basic_auth(app.backend.id.as_str(), Some(&app.backend_secret))
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn malformed_introspection_or_revocation_returns_json_error() {
    let app = AppBuilder::default().set("throttle.enabled", "false").spawn().await;
    // The token belongs to the calling client, so that it could revoke it.
    let login = [("grant_type", "password"), ("username", "alice")];
    let login = [&login[..], &[("password", crate::helpers::PASSWORD)]].concat();
    let token = app.post_as_backend("/oauth/token", &login).await.access_token();
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        for body in [
            String::new(),
            "token".to_owned(),
            "token=".to_owned(),
            "token_type_hint=access_token".to_owned(),
            format!("Token={token}"),
            format!("token={token}&token={token}"),
            format!("token={token}&token="),
            format!("token={token}&token_type_hint=a&token_type_hint=a"),
            format!("token={token}&client_id=x"),
            format!("token={token}%"),
            format!("token={token}%ff"),
            format!("{{\"token\":\"{token}\"}}"),
        ] {
            let answer = send(raw(&app, path, FORM, body.clone())).await;
            answer.assert_error(400, "invalid_request");
        }
        let body = format!("token={token}");
        for media_type in
            ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "a/b/c"]
        {
            let answer = send(raw(&app, path, media_type, body.clone())).await;
            answer.assert_error(400, "invalid_request");
        }
        let untyped = app.request("POST", path).body(body.clone());
        let untyped = untyped.basic_auth(app.backend.id.as_str(), Some(&app.backend_secret));
        send(untyped).await.assert_error(400, "invalid_request");
        let huge = format!("{body}&x={}", "y".repeat(16 << 10));
        send(raw(&app, path, FORM, huge)).await.assert_error(413, "invalid_request");

        // A token in the URL is ignored for every method.
        let url = format!("{path}?{body}");
        send(raw(&app, &url, FORM, "")).await.assert_error(400, "invalid_request");
        let get = app.request("GET", &url);
        let get = get.basic_auth(app.backend.id.as_str(), Some(&app.backend_secret));
        let get = send(get).await;
        get.assert_error(405, "invalid_request");
        assert_eq!(get.header("allow"), Some("POST"));
        assert!(app.is_active(&token).await, "{path}");
    }
    // A well-formed body with unknown parameters revokes the token.
    let body = format!("x=%&token={token}");
    send(raw(&app, "/oauth/revoke", FORM, body)).await.assert_error(400, "invalid_request");
    let body = format!("x=y&x=z&token={token}");
    assert_eq!(send(raw(&app, "/oauth/revoke", FORM, body)).await.status, 200);
    assert!(!app.is_active(&token).await);
}
