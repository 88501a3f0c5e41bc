//! Third-party client libraries: each logs in, refreshes, has its tokens introspected, and revokes
//! them. The head of each script says which of the features its library supports.

use oauth2::basic::{BasicClient, BasicErrorResponseType};
use oauth2::{
    AccessToken, ClientId, ClientSecret, HttpRequest, HttpResponse, IntrospectionUrl, RefreshToken,
    RequestTokenError, ResourceOwnerPassword, ResourceOwnerUsername, RevocationUrl, Scope,
    StandardRevocableToken, TokenIntrospectionResponse, TokenResponse, TokenUrl,
};

use crate::helpers::{App, AppBuilder, ClientScript, PASSWORD, free_port};

/// Starts a server with `server.public_url` set, which its metadata needs.
async fn spawn() -> App {
    let free = format!("127.0.0.1:{}", free_port());
    let app = AppBuilder::default()
        .set("server.bind", &free)
        .set("server.public_url", &format!("http://{free}"))
        .spawn()
        .await;
    assert_eq!(app.settings.server.public_url.as_ref(), Some(&app.url));
    app
}

#[tokio::test]
async fn requests_oauthlib_completes_the_token_lifecycle() {
    ClientScript::Python("requests_oauthlib_client.py").run(&spawn().await).await;
}

#[tokio::test]
async fn authlib_completes_the_token_lifecycle() {
    ClientScript::Python("authlib_client.py").run(&spawn().await).await;
}

#[tokio::test]
async fn oauth4webapi_completes_the_token_lifecycle() {
    ClientScript::Node("oauth4webapi_client.mjs").run(&spawn().await).await;
}

#[tokio::test]
async fn openid_client_completes_the_token_lifecycle() {
    ClientScript::Node("openid_client.mjs").run(&spawn().await).await;
}

/// Sends a request of the `oauth2` crate, which leaves the transport to the caller. The crate
/// insists on HTTPS for revocation; this stands in for a TLS-terminating proxy and forwards plain
/// HTTP.
async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.to_string().replacen("https://", "http://", 1);
    let answer = http.request(parts.method, url).headers(parts.headers).body(body).send().await?;
    let mut response = HttpResponse::default();
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}

/// The crate supports every grant and endpoint of Sentinel, but not metadata.
#[tokio::test]
async fn oauth2_crate_completes_the_token_lifecycle() {
    let app = spawn().await;
    let http = |request| send(app.http.clone(), request);
    let url = |path: &str| format!("{}{path}", app.url);
    let token_url = || TokenUrl::new(url("/oauth/token")).unwrap();
    let revocation_url = || {
        let url = url("/oauth/revoke").replacen("http://", "https://", 1);
        RevocationUrl::new(url).unwrap()
    };
    let client = |id: &str| {
        BasicClient::new(ClientId::new(id.to_owned()))
            .set_token_uri(token_url())
            .set_revocation_url(revocation_url())
    };
    let secret = || ClientSecret::new(app.backend_secret.clone());
    let public = client(app.client.id.as_str());
    let backend = client(app.backend.id.as_str()).set_client_secret(secret());
    let judge = client(app.backend.id.as_str())
        .set_client_secret(secret())
        .set_introspection_url(IntrospectionUrl::new(url("/oauth/introspect")).unwrap());
    let introspect = async |token: &str| {
        let token = AccessToken::new(token.to_owned());
        judge.introspect(&token).request_async(&http).await.unwrap()
    };
    let alice = ResourceOwnerUsername::new("alice".to_owned());
    let password = ResourceOwnerPassword::new(PASSWORD.to_owned());

    for client in [&public, &backend] {
        let login = client.exchange_password(&alice, &password);
        let first = login.request_async(&http).await.unwrap();
        let introspected = introspect(first.access_token().secret()).await;
        assert!(introspected.active());
        assert_eq!(introspected.username(), Some("alice"));
        assert_eq!(introspected.client_id(), Some(client.client_id()));
        assert_eq!(introspected.sub(), Some(app.user.id.to_string().as_str()));
        assert_eq!(introspected.iss(), Some(app.url.as_str()));
        let scope = ["read", "write"].map(|scope| Scope::new(scope.to_owned()));
        assert_eq!(introspected.scopes().map(Vec::as_slice), Some(&scope[..]));
        assert_eq!(first.scopes().map(Vec::as_slice), Some(&scope[..]));
        assert_eq!((introspected.exp().unwrap() - introspected.iat().unwrap()).num_seconds(), 3600);

        let refresh = client.exchange_refresh_token(first.refresh_token().unwrap());
        let second = refresh.request_async(&http).await.unwrap();
        let rotated: &RefreshToken = second.refresh_token().unwrap();
        assert_ne!(rotated.secret(), first.refresh_token().unwrap().secret());

        let tokens = [
            StandardRevocableToken::from(second.access_token()),
            StandardRevocableToken::from(rotated),
        ];
        for (token, text) in
            tokens.into_iter().zip([second.access_token().secret(), rotated.secret()])
        {
            assert!(introspect(text).await.active());
            client.revoke_token(token).unwrap().request_async(&http).await.unwrap();
            assert!(!introspect(text).await.active());
        }

        let used = client.exchange_refresh_token(rotated).request_async(&http).await;
        let wrong = ResourceOwnerPassword::new("wrong".to_owned());
        let wrong = client.exchange_password(&alice, &wrong).request_async(&http).await;
        for refused in [used, wrong] {
            let Err(RequestTokenError::ServerResponse(error)) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(error.error(), &BasicErrorResponseType::InvalidGrant);
            assert_eq!(error.error_uri(), Some(&url("/oauth/errors")));
        }
    }

    let own = backend.exchange_client_credentials().request_async(&http).await.unwrap();
    assert!(own.refresh_token().is_none());
    let introspected = introspect(own.access_token().secret()).await;
    assert_eq!((introspected.active(), introspected.username()), (true, None));
}
