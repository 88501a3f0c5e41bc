//! `sentinel store`: the store as a whole.

mod copy;

use clap::Subcommand;

use super::Global;
use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Copies everything to another store, live tokens included; safe to interrupt and to repeat
    Copy(copy::Copy),
}

impl Store {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::Copy(command) => command.run(global),
        }
    }
}
