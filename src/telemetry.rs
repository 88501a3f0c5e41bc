//! The log: pretty on a terminal, JSON lines otherwise, on standard error.
//!
//! What may be logged: ids of users, clients and sessions, user names of users that exist, error
//! codes. What may not: tokens, passwords, secrets, bodies, names that nobody has. An error is logged
//! once, where it is answered. Audit events have the target `audit`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{Log, LogFormat};

/// Starts logging for the process.
///
/// # Errors
/// When the level cannot be understood, or logging was started before.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter: EnvFilter = log.level.parse()?;
    let pretty = match log.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let subscriber = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if pretty {
        subscriber.with_ansi(std::io::stderr().is_terminal()).finish().try_init()?;
    } else {
        subscriber.json().flatten_event(true).with_current_span(false).finish().try_init()?;
    }
    Ok(())
}
