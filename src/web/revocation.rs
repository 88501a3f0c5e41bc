//! Revocation endpoint, `POST /oauth/revoke` (RFC 7009).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::{Web, form};
use crate::oauth::Request;

/// Body of a successful revocation response: an empty JSON object. RFC 7009 §2.2: "The content of
/// the response body is ignored by the client as all necessary information is conveyed in the
/// response code."
#[derive(Serialize)]
struct RevokedJson {}

pub(super) async fn handle(
    web: web::Data<Web>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let call = async |request: Request<'_>| web.provider.revoke(&request).await;
    form::handle(&web, request, payload, call, |()| form::ok(RevokedJson {}))
        .await
        .unwrap_or_else(|refusal| web.refuse(&refusal))
}
