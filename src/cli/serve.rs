//! `sentinel serve`.

use std::sync::Arc;

use clap::Args;

use super::failure::Failure;
use super::{Global, dev};
use crate::app::Application;
use crate::domain::SystemClock;
use crate::settings::{Backend, Bind, Settings, TlsMode};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// A server for development: self-signed TLS, a demo client and user, `curl` lines to paste
    #[arg(long)]
    dev: bool,
    /// Where to listen, over the settings: HOST:PORT or unix:PATH; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    bind: Vec<String>,
}

impl Serve {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let settings = self.settings(global)?;
        telemetry::start(&settings.log)
            .map_err(|error| Failure::config(format!("cannot start the log: {error}")))?;
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
        // What `--dev` is for gives way to what was set on purpose.
        for (key, value) in dev::defaults(&settings) {
            if !settings.is_given(key) {
                sources.overrides.push((key.to_owned(), value));
            }
        }
        Ok(Settings::load(&sources)?)
    }
}

async fn serve(settings: &Settings, dev: bool) -> Result<(), Failure> {
    let application = Application::build(settings, Arc::new(SystemClock)).await?;
    warn_of_missing_parts(settings);
    if dev {
        dev::welcome(settings, &application).await?;
    }
    for address in application.addresses() {
        tracing::info!(%address, tls = settings.tls.mode != TlsMode::Off, "listening");
    }
    for bind in &settings.server.bind {
        if let Bind::Unix(path) = bind {
            tracing::info!(path = %path.display(), "listening");
        }
    }
    application
        .run()
        .await
        .map_err(|error| Failure::unavailable(format!("the server stopped: {error}")))?;
    tracing::info!("stopped");
    Ok(())
}

/// What is not there, for want of a setting or in this version: whoever expects it has to hear of it.
fn warn_of_missing_parts(settings: &Settings) {
    let missing = [("metrics.bind", "metrics"), ("templates.dir", "templates")];
    for (key, what) in missing {
        if settings.is_given(key) {
            tracing::warn!("{key} is set, but {what} is not in this version yet");
        }
    }
    let management = &settings.management;
    if management.url.is_some() && management.credentials().is_none() {
        tracing::warn!(
            "there is no management page: management.username and management.password are not set"
        );
    }
    tracing::warn!("guessing of passwords is not slowed in this version; have the proxy limit it");
    if settings.is_given("mongo.uri") && settings.store.backend == Backend::Embedded {
        tracing::warn!("mongo.uri is set, but store.backend is \"embedded\"");
    }
}
