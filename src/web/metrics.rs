//! Prometheus metrics, `GET /metrics`, on a listener of their own and without authentication.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Data, ServiceConfig};

use crate::observe::metrics::Metrics;

/// Registers `/metrics`, the only route of the listener for Prometheus metrics.
pub fn configure(config: &mut ServiceConfig, metrics: &Arc<Metrics>) {
    config.app_data(Data::from(Arc::clone(metrics)));
    config.service(web::resource("/metrics").route(super::routing::get_or_head().to(answer)));
}

async fn answer(metrics: Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(metrics.render())
}
