//! Sentinel: a standalone OAuth 2.0 token server.
//!
//! The modules, from the inside out; each imports only what stands above it:
//!
//! - [`domain`]: tokens, sessions, users, clients and the rules they live by, without I/O;
//! - [`observe`]: ids of calls, metrics, traces: what is noted of the work;
//! - [`settings`]: what the operator set, as plain data;
//! - [`password`]: hashing on bounded workers;
//! - [`store`]: where all is kept: traits, and the backends behind them;
//! - [`oauth`]: the protocol, without HTTP; beside it [`admin`], what an operator does, and [`import`],
//!   what comes from other servers;
//! - [`web`]: requests and answers, over HTTP;
//! - [`app`]: puts it together; [`telemetry`]: the log;
//! - [`cli`]: the command line.

pub mod admin;
pub mod app;
pub mod cli;
pub mod domain;
pub mod import;
pub mod oauth;
pub mod observe;
pub mod password;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod web;
