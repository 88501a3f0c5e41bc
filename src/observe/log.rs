//! Common parts of log lines.

/// Name of log events (`name:` of the macros of `tracing`) that a caller without credentials can
/// cause at any rate. Events of this name with equal fields are logged once in a while, with the
/// number of the others later (`telemetry`), so that no caller can fill the log.
pub const ANY_CALLER: &str = "any caller";
