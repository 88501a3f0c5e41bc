//! Health probes: `/healthz` reports that the process responds, `/readyz` that a login would
//! succeed, by the last writes of this process. Neither waits for anything.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::error::{RequestError, json};
use super::{Web, form};

#[derive(Serialize)]
struct HealthJson {
    status: &'static str,
}

pub(super) async fn alive() -> HttpResponse {
    json(StatusCode::OK).json(HealthJson { status: "ok" })
}

pub(super) async fn ready(web: web::Data<Web>) -> HttpResponse {
    match web.provider.check_ready() {
        Ok(()) => form::ok(HealthJson { status: "ok" }),
        Err(error) => web.refuse(&RequestError::from(error)),
    }
}
