//! `sentinel config`: checks and shows the settings.

use clap::Subcommand;

use super::failure::{Failure, error_chain};
use super::global::{Global, block_on};
use super::output;
use crate::app;
use crate::domain::SystemClock;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Checks the settings and the files that they name; creates nothing, connects to Redis alone
    Check,
    /// Prints the settings in effect, with secrets hidden
    Show,
}

impl ConfigCommand {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        if matches!(self, Self::Check) {
            block_on(async || check(&settings).await)?;
        }
        match (self, global.json) {
            (Self::Check, false) => output::line("the settings are valid"),
            (Self::Check, true) => output::json(&serde_json::json!({ "ok": true })),
            (Self::Show, false) => output::long_text(&settings.describe()),
            (Self::Show, true) => output::json(&settings.to_table()),
        }
    }
}

/// Checks the settings: prints all warnings, and fails with all errors at once.
async fn check(settings: &Settings) -> Result<(), Failure> {
    let found = app::check(settings, &SystemClock).await;
    for warning in settings.warnings().iter().chain(&found.warnings) {
        output::message(format!("warning: {warning}"));
    }
    let errors: Vec<_> = found.errors.iter().map(|error| error_chain(error)).collect();
    match &*errors {
        [] => Ok(()),
        [only] => Err(Failure::config(only)),
        all => {
            let list = all.join("\n  - ");
            Err(Failure::config(format!("{} problems in the settings:\n  - {list}", all.len())))
        }
    }
}
