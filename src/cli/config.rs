//! `sentinel config`: the settings, checked and shown.

use clap::Subcommand;

use super::failure::Failure;
use super::{Global, output};
use crate::app::password_policy;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Says whether the settings are in order, and what is wrong with them
    Check,
    /// Prints the settings in effect, with secrets hidden
    Show,
}

impl Config {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        if matches!(self, Self::Check) {
            password_policy(&settings.password).check().map_err(Failure::config)?;
        }
        match (self, global.json) {
            (Self::Check, false) => output::line("the settings are in order"),
            (Self::Check, true) => output::json(&serde_json::json!({ "ok": true })),
            (Self::Show, false) => output::line(settings.describe().trim_end()),
            (Self::Show, true) => output::json(&settings.to_table()),
        }
    }
}
