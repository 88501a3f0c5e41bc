//! Routes of the HTTP layer.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

use super::management;
use super::routing::get_or_head;
use super::state::{Transport, Web};
use super::{error, health, introspection, metadata, revocation, root, token, verify};

impl Web {
    /// Registers the routes of every HTTP endpoint for a listener that uses `transport`.
    pub fn configure(&self, config: &mut ServiceConfig, transport: Transport) {
        let routes = &self.config.routes;
        let mut post = |path: &Option<String>, route: actix_web::Route| {
            if let Some(path) = path {
                let other = web::to(error::only_post);
                config.service(web::resource(path.as_str()).route(route).default_service(other));
            }
        };
        post(&routes.token, web::post().to(token::handle));
        post(&routes.introspection, web::post().to(introspection::handle));
        post(&routes.revocation, web::post().to(revocation::handle));

        // Proxies keep the method of their callers.
        if let Some(path) = &routes.verify {
            config.service(web::resource(path.as_str()).to(verify::handle));
        }

        let mut get = |path: &str, route: actix_web::Route| {
            let other = web::to(error::only_get);
            config.service(web::resource(path).route(route).default_service(other));
        };
        for path in self.metadata_paths() {
            get(&path, get_or_head().to(metadata::handle));
        }
        if let Some(path) = &routes.errors {
            get(path, get_or_head().to(errors_page));
        }
        get("/healthz", get_or_head().to(health::alive));
        get("/readyz", get_or_head().to(health::ready));

        // The management page may be at the root.
        if let Some(prefix) = routes.below_verify() {
            let below = web::resource(format!("{prefix}{{rest}}*"));
            config.service(below.to(verify::handle_below));
        }
        if let Some(management) = &self.management {
            config.app_data(web::Data::from(Arc::clone(management)));
            management::routes::configure(management, config);
        }
        // After the other endpoints, of which one may be at the root.
        let landing = get_or_head().to(root::handle);
        config.service(web::resource("/").route(landing).default_service(web::to(error::only_get)));
        config.app_data(web::Data::new(self.clone()));
        config.app_data(transport);
        config.default_service(web::to(error::not_found));
    }

    /// Returns the URL paths of the authorization server metadata; none without an issuer. The
    /// issuer's path comes after the well-known path (RFC 8414 §3), but many clients look for the
    /// document at the well-known path alone.
    pub(super) fn metadata_paths(&self) -> Vec<String> {
        match (&self.config.routes.metadata, self.provider.issuer()) {
            (Some(path), Some(issuer)) => metadata::paths(path, issuer),
            _ => Vec::new(),
        }
    }
}

async fn errors_page(web: web::Data<Web>) -> HttpResponse {
    web.templates.current().errors_page.respond()
}
