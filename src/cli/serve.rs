//! `sentinel serve`: runs the server.

use std::sync::Arc;

use clap::Args;

use super::failure::Failure;
use super::{Global, dev};
use crate::app::{Application, raise_open_files};
use crate::domain::SystemClock;
use crate::settings::{Backend, Settings, TlsMode};
use crate::telemetry;

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
        telemetry::start(&settings.log)
            .map_err(|error| Failure::config(format!("cannot start the log: {error}")))?;
        raise_open_files();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::unavailable(format!("cannot start: {error}")))?;
        runtime.block_on(serve(&settings, self.dev))
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

async fn serve(settings: &Settings, dev: bool) -> Result<(), Failure> {
    let application = Application::build(settings, Arc::new(SystemClock)).await?;
    announce(settings);
    warn_of_missing_parts(settings);
    if dev {
        dev::welcome(settings, &application).await?;
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
            tracing::info!(%address, "metrics are at /metrics");
        }
        for path in &listening.unix_sockets {
            tracing::info!(path, "metrics are at /metrics");
        }
    }
    application
        .run()
        .await
        .map_err(|error| Failure::unavailable(format!("the server stopped: {error}")))?;
    tracing::info!("stopped");
    Ok(())
}

/// Logs the version, the settings file and the store.
fn announce(settings: &Settings) {
    let version = env!("CARGO_PKG_VERSION");
    let config = settings.file().map(|file| file.display().to_string());
    let store = settings.store.backend.as_str();
    let (path, database) = match settings.store.backend {
        Backend::Embedded => (Some(settings.store.path.display().to_string()), None),
        Backend::Mongodb => (None, Some(settings.mongo.dbname.as_str())),
    };
    tracing::info!(version, config, store, path, database, "sentinel has started");
}

/// Logs which parts of the server are off and which settings have no effect, since the operator may
/// expect otherwise.
fn warn_of_missing_parts(settings: &Settings) {
    let management = &settings.management;
    if management.url.is_some() && management.credentials().is_none() {
        tracing::warn!(
            "there is no management page: management.username and management.password are not set"
        );
    }
    if !settings.throttle.enabled {
        tracing::warn!("throttle.enabled is false: guessing is not slowed");
    }
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let is_tls = settings.tls.mode != TlsMode::Off;
    if settings.throttle.enabled && !is_tls && settings.server.trusted_proxies.is_empty() {
        tracing::info!(
            "server.trusted_proxies is empty: behind a proxy, all who call through it are one address, \
             and are slowed as one"
        );
    }
}
