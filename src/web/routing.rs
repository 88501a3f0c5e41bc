//! Functions with which routes are registered.

use actix_web::{guard, web};

/// Returns an actix-web route that matches GET and HEAD. RFC 9110 §9.1: "All general-purpose
/// servers MUST support the methods GET and HEAD."
pub(super) fn get_or_head() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
