//! Options of every command, and what follows from them: the settings, the log and the store.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::failure::Failure;
use crate::admin::Admin;
use crate::app::open_stores;
use crate::domain::SystemClock;
use crate::settings::{Settings, Sources};
use crate::telemetry;

/// Help heading of the options of every command.
pub(super) const HEADING: &str = "Options of every command";

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(super) struct Global {
    /// Reads this settings file (TOML) instead of the one that SENTINEL_CONFIG names
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Values of `--set`, in the order of the command line.
    #[arg(skip)]
    pub(super) overrides: Vec<(String, String)>,
    /// Prints JSON instead of human-readable text
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Global {
    pub(super) fn sources(&self) -> Sources {
        let mut sources = Sources::from_process(self.config.clone());
        sources.overrides.extend(self.overrides.iter().cloned());
        sources
    }

    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        Ok(Settings::load(&self.sources())?)
    }

    /// Runs `work` on the store that the settings select, and returns its result. A server may be
    /// running on the store.
    pub(super) fn on_store<T>(
        &self,
        work: impl AsyncFnOnce(&Admin) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        on_store(&self.settings()?, work)
    }
}

/// Runs `work` on the store that `settings` select, and returns its result.
pub(super) fn on_store<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&Admin) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_log(settings, async || {
        let admin = Admin::new(open_stores(settings).await?, Arc::new(SystemClock));
        work(&admin).await
    })
}

/// Runs `work` in a Tokio runtime, with logging set up for a command, and returns its result. Log
/// lines are written before this function returns.
pub(super) fn with_log<T>(
    settings: &Settings,
    work: impl AsyncFnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let _log = telemetry::start_for_command(&settings.log)
        .map_err(|error| Failure::config(format!("cannot set up the log: {error}")))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Failure::unavailable(format!("cannot start the async runtime: {error}"))
        })?;
    runtime.block_on(work())
}
