//! Routes of the management page and its API.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};

use super::state::Management;
use super::{api, operator_auth, page};

/// Registers the management page and API behind the operator's authentication check. The routes of
/// all other endpoints must be registered first, since some may lie below the page's path.
pub(in crate::web) fn configure(management: &Management, config: &mut ServiceConfig) {
    config.service(
        web::scope(management.path())
            .service(api::routes::scope())
            .configure(page::routes::configure)
            .default_service(web::to(page::routes::no_such_page))
            .wrap(from_fn(operator_auth::guard)),
    );
}
