//! Sentinel: a standalone OAuth 2.0 token server.
//!
//! The modules, lowest layer first. A module imports only modules listed above it:
//!
//! - [`domain`]: tokens, sessions, users, clients and their rules, without I/O;
//! - [`observe`]: request ids, metrics and traces;
//! - [`settings`]: the operator's settings, as plain data;
//! - [`password`]: password hashing on a bounded pool of workers;
//! - [`store`]: the storage traits and their backends;
//! - [`rate_limit`]: limits on guesses at passwords and secrets;
//! - [`oauth`]: the protocol, without HTTP; on the same layer [`admin`], the operator's operations,
//!   and [`import`], which reads the data of other servers;
//! - [`web`]: the HTTP endpoints;
//! - [`app`]: composes the application; [`telemetry`]: the log;
//! - [`cli`]: the command line.

pub mod admin;
pub mod app;
pub mod cli;
pub mod domain;
pub mod import;
pub mod oauth;
pub mod observe;
pub mod password;
pub mod rate_limit;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod web;
