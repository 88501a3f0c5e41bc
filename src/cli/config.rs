//! `sentinel config`: checks and shows the settings.

use clap::{Args, Subcommand};

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
    Show(ShowSettings),
    /// Prints every setting with its default and its meaning, as a settings file
    Default,
}

#[derive(Debug, Args)]
pub(super) struct ShowSettings {
    /// Also prints the origin of each value: a file, an environment variable or an option
    #[arg(long)]
    origin: bool,
}

impl ConfigCommand {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        match (self, global.json) {
            (Self::Check, as_json) => {
                let settings = global.settings()?;
                block_on(async || check(&settings).await)?;
                if as_json {
                    return output::json(&serde_json::json!({ "ok": true }));
                }
                output::line("the settings are valid")
            }
            (Self::Show(show), false) => {
                let settings = global.settings()?;
                output::long_text(&if show.origin {
                    settings.describe_with_origin()
                } else {
                    settings.describe()
                })
            }
            (Self::Show(show), true) => {
                let settings = global.settings()?;
                if show.origin {
                    return output::json(&settings.origins());
                }
                output::json(&settings.to_table())
            }
            (Self::Default, false) => output::long_text(Settings::defaults()),
            (Self::Default, true) => output::json(&Settings::builtin()?.to_table()),
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
