//! What is observed of the server's work: ids that tell calls apart, counters, and times.
//!
//! - [`request`]: which call is being answered, for every line that is logged meanwhile;
//! - [`audit`]: what is said alike in every audit event;
//! - [`actor`]: which operator is changing something, for the audit log;
//! - [`trace`]: W3C trace context, and the spans of a call;
//! - [`metrics`]: what Prometheus reads;
//! - [`chain`]: an error as a line of text.
//!
//! All layers may say here what they do; nothing here knows them, or HTTP, or decides anything.

pub mod actor;
pub mod audit;
mod chain;
pub mod metrics;
pub mod request;
pub mod trace;

pub use chain::chain;
