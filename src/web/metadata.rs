//! `GET /.well-known/oauth-authorization-server` (RFC 8414).

use actix_web::{HttpResponse, web};

use super::Web;

pub(super) async fn answer(web: web::Data<Web>) -> HttpResponse {
    match web.provider.metadata(web.endpoints()) {
        Some(metadata) => HttpResponse::Ok().json(metadata),
        None => super::error::not_found(web).await,
    }
}

/// Where the document is found: at the well-known path, and, when the issuer has a path of its own,
/// with that behind it (RFC 8414 §3.1).
pub(super) fn paths(well_known: &str, issuer: &str) -> Vec<String> {
    let behind_host = issuer.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let with_path = behind_host.map(|(_, path)| format!("{well_known}/{path}"));
    std::iter::once(well_known.to_owned()).chain(with_path).collect()
}
