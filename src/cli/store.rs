//! `sentinel store`: operations on the store as a whole.

mod backup;
mod copy;
mod restore;

use clap::Subcommand;

use super::failure::Failure;
use super::global::Global;

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Copies all data to another store, live tokens included; safe to interrupt and to repeat
    Copy(copy::Copy),
    /// Writes a backup of the embedded store to a new file, while a server may run
    Backup(backup::Backup),
    /// Puts a backup in the place of the embedded store, and keeps the replaced files
    Restore(restore::Restore),
}

impl StoreCommand {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::Copy(command) => command.run(global),
            Self::Backup(command) => command.run(global),
            Self::Restore(command) => command.run(global),
        }
    }
}
