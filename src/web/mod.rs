//! HTTP layer: parses requests, calls the provider and writes responses.
//!
//! [`routes`] registers every route, and [`state`] has what the handlers need. Each endpoint has a
//! file of its own; [`error`] turns failures into JSON responses. Not here: the OAuth 2.0 protocol
//! (`oauth`), sockets and their lifetime (`app`).

mod authorization;
pub mod certificate;
mod certificate_dates;
pub mod client_address;
pub mod cors;
mod error;
mod errors_page;
mod form;
mod health;
mod introspection;
mod landing_page;
pub mod management;
mod metadata;
pub mod metrics;
mod public_page;
pub mod reload;
mod request_host;
pub mod request_observer;
mod revocation;
mod root;
mod routes;
mod routing;
pub mod self_signed;
mod state;
pub mod templates;
pub mod tls;
mod token;
mod verify;

pub use error::bad_request;
pub use state::{Routes, Transport, Web, WebConfig};
