//! Observability: request ids, audit events, traces and metrics.
//!
//! - [`request`]: the context of the current request, for log lines;
//! - [`audit`]: common parts of audit events;
//! - [`log`]: common parts of other log lines;
//! - [`actor`]: the operator who makes a change, for audit events;
//! - [`trace`]: W3C Trace Context, and the spans of a request;
//! - [`activity`]: hourly counts for the dashboard;
//! - [`metrics`]: metrics for Prometheus;
//! - [`error_chain`]: formatting of errors.
//!
//! Every layer may use this module. It knows neither the layers nor HTTP, and makes no decisions.

pub mod activity;
pub mod actor;
pub mod audit;
mod error_chain;
pub mod log;
pub mod metrics;
pub mod request;
pub mod trace;

pub use error_chain::error_chain;
