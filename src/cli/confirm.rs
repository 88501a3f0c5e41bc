//! Confirmation of changes that cannot be undone.

use std::io::{self, IsTerminal, Write};

use clap::Args;

use super::failure::Failure;

/// Option that skips the confirmation.
#[derive(Debug, Args)]
pub(super) struct Confirmation {
    /// Does not ask for confirmation, which is asked for at a terminal only
    #[arg(long, short)]
    yes: bool,
}

impl Confirmation {
    /// Asks the operator at a terminal whether to do `what`, which begins with a verb. A script has
    /// no terminal and is not asked.
    ///
    /// # Errors
    /// [`Failure::refused`] unless the answer is "y" or "yes".
    pub(super) fn ask(&self, what: &str) -> Result<(), Failure> {
        if self.yes || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(());
        }
        let failed =
            |error| Failure::io(format!("cannot ask for confirmation: {error}; use --yes"));
        let mut stderr = io::stderr();
        write!(stderr, "{what}? [y/N] ").and_then(|()| stderr.flush()).map_err(failed)?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(failed)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::refused("nothing was changed")),
        }
    }
}
