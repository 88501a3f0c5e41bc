//! `sentinel serve`: runs the server.

use std::sync::Arc;

use clap::Args;

use super::dev;
use super::failure::Failure;
use super::global::Global;
use crate::app::{Application, file_access_warnings, raise_open_files};
use crate::domain::SystemClock;
use crate::settings::{Backend, Settings, TlsMode};
use crate::telemetry::{self, Log};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Starts a development server: self-signed TLS, demo data, `curl` commands to paste
    #[arg(long)]
    dev: bool,
    /// Listens here instead of at server.bind: HOST:PORT or unix:PATH; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    bind: Vec<String>,
}

impl Serve {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let settings = self.settings(global)?;
        SystemClock::check().map_err(Failure::unavailable)?;
        let log = telemetry::start(&settings.log).map_err(|error| Failure::log(&error))?;
        raise_open_files();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(
            |error| Failure::unavailable(format!("cannot start the async runtime: {error}")),
        )?;
        runtime.block_on(serve(&settings, self.dev, &log))
    }

    fn settings(&self, global: &Global) -> Result<Settings, Failure> {
        let mut sources = global.sources();
        if !self.bind.is_empty() {
            sources.overrides.push(("server.bind".to_owned(), self.bind.join(",")));
        }
        let settings = Settings::load(&sources)?;
        if !self.dev {
            return Ok(settings);
        }
        // Explicit settings take precedence over those of `--dev`.
        for (key, value) in dev::defaults(&settings)? {
            if !settings.is_given(key) {
                sources.overrides.push((key.to_owned(), value));
            }
        }
        Ok(Settings::load(&sources)?)
    }
}

async fn serve(settings: &Settings, dev: bool, log: &Log) -> Result<(), Failure> {
    let application = Application::build(settings, Arc::new(SystemClock)).await?;
    if let Some(counter) = application.dropped_log_lines() {
        log.count_dropped_lines(counter.clone());
    }
    log_start(settings);
    warn_about_disabled_features(settings);
    if dev {
        dev::prepare_demo(settings, &application).await?;
    }
    let listening = application.listening();
    for address in &listening.addresses {
        tracing::info!(%address, tls = settings.tls.mode != TlsMode::Off, "listening");
    }
    for path in &listening.unix_sockets {
        tracing::info!(path, "listening");
    }
    if let Some(listening) = application.metrics_listening() {
        for address in &listening.addresses {
            tracing::info!(%address, "listening for metrics");
        }
        for path in &listening.unix_sockets {
            tracing::info!(path, "listening for metrics");
        }
    }
    application
        .run()
        .await
        .map_err(|error| Failure::unavailable(format!("the server failed: {error}")))?;
    tracing::info!("stopped");
    Ok(())
}

/// Logs the version, the settings file and the store.
fn log_start(settings: &Settings) {
    let version = env!("CARGO_PKG_VERSION");
    let config = settings.file().map(|file| file.display().to_string());
    let store = settings.store.backend.as_str();
    let (path, database) = match settings.store.backend {
        Backend::Embedded => (Some(settings.store.path.display().to_string()), None),
        Backend::Mongodb => (None, Some(settings.mongo.dbname.as_str())),
    };
    tracing::info!(version, config, store, path, database, "sentinel has started");
}

/// Warns about features that are off, settings that have no effect, and secrets that others could
/// read or guess.
fn warn_about_disabled_features(settings: &Settings) {
    let management = &settings.management;
    if management.url.is_some() && management.credentials().is_none() {
        tracing::warn!(
            "the management page and API are off: set management.username and management.password to enable them"
        );
    }
    if !settings.throttle.enabled {
        tracing::warn!("password guesses are not rate-limited: throttle.enabled is false");
    }
    for warning in settings.warnings().iter().chain(&file_access_warnings(settings)) {
        tracing::warn!("{warning}");
    }
    let is_tls = settings.tls.mode != TlsMode::Off;
    if settings.throttle.enabled && !is_tls && settings.server.trusted_proxies.is_empty() {
        tracing::info!(
            "server.trusted_proxies is empty: behind a proxy, all clients count as one address and \
             share its rate limit; set it to the address of the proxy"
        );
    }
}
