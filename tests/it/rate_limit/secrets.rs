//! Guesses at client secrets of the generated form, on every endpoint that accepts them.

use secrecy::ExposeSecret;
use sentinel::domain::ClientSecret;

use super::{assert_refused, right, spend, strict};
use crate::helpers::{App, TestResponse, all, send};

const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "192.0.2.2";

/// Returns a wrong secret of the form that Sentinel generates, as an attacker sends who knows it.
fn wrong() -> String {
    ClientSecret::generate().unwrap().expose_secret().to_owned()
}

/// Endpoints, each with a parameter it requires.
const ENDPOINTS: [(&str, &str, &str); 3] = [
    ("/oauth/token", "grant_type", "client_credentials"),
    ("/oauth/introspect", "token", "garbage"),
    ("/oauth/revoke", "token", "garbage"),
];

fn call(
    app: &App,
    (path, name, value): (&str, &str, &str),
    from: &str,
    id: &str,
    secret: &str,
) -> impl Future<Output = TestResponse> + Send + use<> {
    let request = app.request("POST", path).header("x-forwarded-for", from);
    send(request.basic_auth(id, Some(secret)).form(&[(name, value)]))
}

#[tokio::test]
async fn wrong_client_secrets_share_one_budget_on_all_endpoints() {
    let app = strict().spawn().await;
    let id = app.backend.id.as_str();
    for number in 0..5 {
        let answer = call(&app, ENDPOINTS[number % 3], HERE, id, &wrong()).await;
        answer.assert_error(401, "invalid_client");
    }
    for endpoint in ENDPOINTS {
        assert_eq!(assert_refused(&call(&app, endpoint, HERE, id, &wrong()).await), 300);
        let (path, name, value) = endpoint;
        let form = [("client_id", id), ("client_secret", &*wrong()), (name, value)];
        let in_body = app.request("POST", path).header("x-forwarded-for", HERE).form(&form);
        assert_refused(&send(in_body).await);
        call(&app, endpoint, ELSEWHERE, id, &wrong()).await.assert_error(401, "invalid_client");
    }
    app.advance(300);
    call(&app, ENDPOINTS[0], HERE, id, &wrong()).await.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn failures_of_unknown_clients_count_like_known_ones() {
    let app = strict().spawn().await;
    let unknown = "A".repeat(40);
    for number in 0..5 {
        let id = [unknown.as_str(), app.backend.id.as_str(), app.client.id.as_str()][number % 3];
        let answer = call(&app, ENDPOINTS[0], HERE, id, &wrong()).await;
        answer.assert_error(401, "invalid_client");
    }
    for id in [unknown.as_str(), app.backend.id.as_str(), app.client.id.as_str(), "x"] {
        assert_refused(&call(&app, ENDPOINTS[0], HERE, id, &wrong()).await);
    }
}

/// This holds for another address and for the one the guesses come from.
#[tokio::test]
async fn correct_client_secret_is_accepted_during_guessing() {
    let app = strict().spawn().await;
    let id = app.backend.id.as_str();
    for _ in 0..20 {
        call(&app, ENDPOINTS[0], HERE, id, &wrong()).await;
    }
    assert_refused(&call(&app, ENDPOINTS[0], HERE, id, &wrong()).await);
    for from in [HERE, ELSEWHERE] {
        for endpoint in ENDPOINTS {
            let answer = call(&app, endpoint, from, id, &app.backend_secret).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    // Logins from the same address are not rate-limited either.
    assert_eq!(right(&app, HERE).await.status, 200);
}

#[tokio::test]
async fn introspection_of_invalid_tokens_is_not_rate_limited() {
    let app = strict().spawn().await;
    let tokens = right(&app, HERE).await;
    let (id, refresh) = (app.client.id.as_str(), tokens.refresh_token());
    app.revoke(&refresh).await;
    for number in 0..60 {
        let bad = [refresh.as_str(), &tokens.access_token(), "garbage"][number % 3].to_owned();
        let form = ("/oauth/introspect", "token", bad.as_str());
        let answer = call(&app, form, HERE, app.backend.id.as_str(), &app.backend_secret).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "{\"active\":false}"));
        let verify = app.request("GET", "/oauth/verify").header("x-forwarded-for", HERE);
        assert_eq!(send(verify.bearer_auth(&bad)).await.status, 401);
        // An invalid refresh token does not count as a guess either.
        let form = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", &bad)];
        let request = app.request("POST", "/oauth/token").header("x-forwarded-for", HERE);
        send(request.form(&form)).await.assert_error(400, "invalid_grant");
    }
    assert_eq!(right(&app, HERE).await.status, 200);
    // Wrong passwords from its address do not rate-limit the resource server either.
    spend(&app, HERE).await;
    let answer = call(&app, ENDPOINTS[1], HERE, app.backend.id.as_str(), &app.backend_secret).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn missing_client_secret_does_not_count_as_guess() {
    let app = strict().spawn().await;
    for _ in 0..10 {
        let form = [("client_id", app.backend.id.as_str()), ("token", "garbage")];
        let request = app.request("POST", "/oauth/revoke").header("x-forwarded-for", HERE);
        send(request.form(&form)).await.assert_error(401, "invalid_client");
        let answer = call(&app, ENDPOINTS[2], HERE, app.backend.id.as_str(), "").await;
        answer.assert_error(401, "invalid_client");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_secret_guesses_share_one_budget() {
    let app = strict().spawn().await;
    let id = app.backend.id.as_str();
    let answers = all((0..60).map(|_| call(&app, ENDPOINTS[1], HERE, id, &wrong()))).await;
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(401), with(429)), (5, 55));
}
