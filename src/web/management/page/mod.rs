//! Management page. The server renders it without scripts, so every operation is a link or a form.
//!
//! [`routes`] lists the pages. A handler reads the query or the form ([`posted_form`]), calls
//! [`crate::admin`], and renders a template or redirects with 303 ([`page_context`]).
//! [`error_page`] turns errors into pages.

mod chart;
mod client_form;
mod clients;
mod connect;
mod counted_range;
mod dashboard;
pub(super) mod error_page;
mod flash_messages;
mod flask_sentinel;
mod form_view;
mod layout;
mod page_context;
mod page_error;
mod posted_form;
pub(super) mod refused_page;
pub(super) mod routes;
pub(super) mod samples;
mod sessions;
mod timestamp_view;
mod urls;
mod user_form;
mod users;
mod views;
