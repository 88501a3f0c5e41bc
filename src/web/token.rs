//! Token endpoint, `POST /oauth/token` (RFC 6749 §3.2).

use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{Web, form};
use crate::domain::IssuedTokens;

/// Successful response of the token endpoint (RFC 6749 §5.1).
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    scope: &'a str,
}

pub(super) async fn handle(
    web: web::Data<Web>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let call = async |request: crate::oauth::Request<'_>| web.provider.token(&request).await;
    form::handle(&web, request, payload, call, |tokens| reply(&tokens))
        .await
        .unwrap_or_else(|refusal| web.refuse_token(&refusal))
}

fn reply(tokens: &IssuedTokens) -> HttpResponse {
    let refresh: Option<SecretString> = tokens.refresh.as_ref().map(|token| token.to_secret());
    form::ok(TokenResponse {
        access_token: tokens.access.to_secret().expose_secret(),
        token_type: "Bearer",
        expires_in: tokens.expires_in.as_secs(),
        refresh_token: refresh.as_ref().map(|token| token.expose_secret()),
        scope: &tokens.scope.to_string(),
    })
}
