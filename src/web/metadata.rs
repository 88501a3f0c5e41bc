//! Authorization server metadata, `GET /.well-known/oauth-authorization-server` (RFC 8414).

use actix_web::{HttpResponse, web};

use super::Web;

pub(super) async fn handle(web: web::Data<Web>) -> HttpResponse {
    match web.provider.metadata(web.endpoints()) {
        Some(metadata) => HttpResponse::Ok().json(metadata),
        None => super::error::not_found(web).await,
    }
}

/// Returns the URL paths of the authorization server metadata: the well-known path and, if the
/// issuer has a path, the well-known path followed by the issuer's path (RFC 8414 §3.1).
pub(super) fn paths(well_known: &str, issuer: &str) -> Vec<String> {
    let after_host = issuer.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let with_path = after_host.map(|(_, path)| format!("{well_known}/{path}"));
    std::iter::once(well_known.to_owned()).chain(with_path).collect()
}
