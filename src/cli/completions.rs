//! `sentinel completions`: prints a completion script for a shell.

use clap::Args;
use clap_complete::Shell;

use super::failure::Failure;
use super::output;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Shell to print the script for
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, mut command: clap::Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "sentinel", &mut script);
        output::long_text(&String::from_utf8_lossy(&script))
    }
}
