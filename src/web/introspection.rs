//! Introspection endpoint, `POST /oauth/introspect` (RFC 7662).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::{Web, form};
use crate::domain::{TokenKind, UserId};
use crate::oauth::{ActiveToken, Introspection, Request};

/// Introspection response for a token that is not active (RFC 7662 §2.2), without other members.
#[derive(Serialize)]
struct InactiveJson {
    active: bool,
}

#[derive(Serialize)]
struct ActiveJson<'a> {
    active: bool,
    // RFC 6749 §3.3: an empty text is no scope. Resource servers fail on it.
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    sub: &'a str,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
}

pub(super) async fn handle(
    web: web::Data<Web>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let issuer = web.provider.issuer();
    let call = async |request: Request<'_>| web.provider.introspect(&request).await;
    form::handle(&web, request, payload, call, |result| match result {
        Introspection::Inactive => form::ok(InactiveJson { active: false }),
        Introspection::Active(token) => reply(&token, issuer),
    })
    .await
    .unwrap_or_else(|refusal| web.refuse(&refusal))
}

fn reply(token: &ActiveToken, issuer: Option<&str>) -> HttpResponse {
    let user: Option<&UserId> = token.user.as_ref().map(|user| &user.id);
    // A client that acts for itself is its own subject, as in RFC 9068 §2.2.
    let subject = user.map_or_else(|| token.client_id.to_string(), ToString::to_string);
    form::ok(ActiveJson {
        active: true,
        scope: token.scope.as_str(),
        client_id: token.client_id.as_str(),
        username: token.user.as_ref().map(|user| user.username.as_str()),
        sub: &subject,
        // Refresh tokens must not give access to resources. A resource server that reads
        // `token_type` can tell them from access tokens.
        token_type: match token.kind {
            TokenKind::Access => "Bearer",
            TokenKind::Refresh => "refresh_token",
        },
        exp: token.expires_at.as_seconds(),
        iat: token.issued_at.as_seconds(),
        iss: issuer,
    })
}
