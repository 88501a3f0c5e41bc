//! Options of every command, and what follows from them: the settings, the log and the store.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::failure::Failure;
use super::output;
use crate::admin::Admin;
use crate::app::{StartError, missing_store, open_stores};
use crate::domain::SystemClock;
use crate::settings::{Settings, Sources};
use crate::store::{OpenMode, StoreError, Stores};
use crate::telemetry;

/// Help heading of the options of every command.
pub(super) const HEADING: &str = "Options of every command";

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(super) struct Global {
    /// Reads this settings file (TOML) instead of the one that SENTINEL_CONFIG names
    #[arg(long, global = true, value_name = "FILE", display_order = 900)]
    config: Option<PathBuf>,
    /// Values of `--set`, in the order of the command line.
    #[arg(skip)]
    pub(super) overrides: Vec<(String, String)>,
    /// Prints JSON instead of human-readable text
    #[arg(long, global = true, display_order = 902)]
    pub(super) json: bool,
    /// Prints audit events at a terminal too; elsewhere, they are always printed
    #[arg(long, global = true, display_order = 903)]
    log: bool,
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

    /// Runs `work` on the store that the settings select, opened for the purpose `mode`, and
    /// returns its result. A server may be running on the store.
    pub(super) fn on_store<T>(
        &self,
        mode: OpenMode,
        work: impl AsyncFnOnce(&Admin) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.on_store_of(&self.settings()?, mode, work)
    }

    /// Runs `work` on the store that `settings` select, opened for the purpose `mode`, and returns
    /// its result.
    pub(super) fn on_store_of<T>(
        &self,
        settings: &Settings,
        mode: OpenMode,
        work: impl AsyncFnOnce(&Admin) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_log(settings, async || {
            let admin = Admin::new(open(settings, mode).await?, Arc::new(SystemClock));
            work(&admin).await
        })
    }

    /// Runs `work` in a Tokio runtime, with logging set up for a command, and returns its result.
    /// Log lines are written before this function returns. At a terminal, audit events would hide
    /// the result of the command, so they are printed with `--log` only.
    pub(super) fn with_log<T>(
        &self,
        settings: &Settings,
        work: impl AsyncFnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        block_on(async || {
            SystemClock::check().map_err(Failure::unavailable)?;
            let prints_audit = self.log || !std::io::stderr().is_terminal();
            let _log = telemetry::start_for_command(&settings.log, prints_audit)
                .map_err(|error| Failure::log(&error))?;
            work().await
        })
    }
}

/// Opens the stores that `settings` select for the purpose `mode`. Prints the path of an embedded
/// store that this creates.
pub(super) async fn open(settings: &Settings, mode: OpenMode) -> Result<Stores, StartError> {
    let new = missing_store(settings).filter(|_| mode == OpenMode::Create);
    let stores = open_stores(settings, mode).await?;
    if let Some(path) = new {
        output::message(format_args!("created the store {}", path.display()));
    }
    Ok(stores)
}

/// Opens the stores for a dry run, which only reads. Returns `None` if the embedded store does not
/// exist.
pub(super) async fn open_for_dry_run(settings: &Settings) -> Result<Option<Stores>, StartError> {
    match open_stores(settings, OpenMode::Read).await {
        Err(StartError::Store(StoreError::Missing(_))) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

/// Runs `work` in a Tokio runtime, and returns its result.
pub(super) fn block_on<T>(work: impl AsyncFnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Failure::unavailable(format!("cannot start the async runtime: {error}"))
        })?;
    runtime.block_on(work())
}
