//! JSON API for the operator's scripts, below the management page and behind the same
//! authentication check.
//!
//! [`routes`] lists every route. Each resource has a file of its own. Shared code: [`body`] reads
//! JSON strictly, [`query`] reads the query string, [`paging`] splits lists into pages, [`etag`]
//! prevents lost updates, [`problem`] formats errors (RFC 9457), [`fields`] has the types of
//! values, and [`openapi`] describes the API. The representations of users, clients and sessions
//! are in `admin::json`.

mod body;
mod clients;
mod context;
mod etag;
mod fields;
mod openapi;
mod paging;
pub(super) mod problem;
mod query;
pub(super) mod routes;
mod sessions;
mod users;
