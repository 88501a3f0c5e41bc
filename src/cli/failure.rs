//! How a command fails: one line on standard error, and an exit code of `sysexits.h`.

use std::io::Write;
use std::process::ExitCode;

use crate::admin::AdminError;
use crate::app::StartError;
use crate::observe::audit::Outcome;
pub(super) use crate::observe::chain;
use crate::settings;
use crate::store::StoreError;

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    message: String,
    /// Whether it is not known if something that was to be written was.
    unconfirmed: bool,
}

// By value, so that they can be given to `map_err` as they are.
#[allow(clippy::needless_pass_by_value)]
impl Failure {
    /// 64: the command line makes no sense.
    pub(super) fn usage(message: impl ToString) -> Self {
        Self { code: 64, message: message.to_string(), unconfirmed: false }
    }

    /// 65: what was asked for is refused: a taken name, a bad value, nothing of that name.
    pub(super) fn refused(message: impl ToString) -> Self {
        Self { code: 65, message: message.to_string(), unconfirmed: false }
    }

    /// 69: something that is needed does not answer or cannot be had.
    pub(super) fn unavailable(message: impl ToString) -> Self {
        Self { code: 69, message: message.to_string(), unconfirmed: false }
    }

    /// 74: reading or writing failed.
    pub(super) fn io(message: impl ToString) -> Self {
        Self { code: 74, message: message.to_string(), unconfirmed: false }
    }

    /// 75: not all of it is done, and running it again does the rest.
    pub(super) fn again(message: impl ToString) -> Self {
        Self { code: 75, message: message.to_string(), unconfirmed: false }
    }

    /// 78: the settings are wrong.
    pub(super) fn config(message: impl ToString) -> Self {
        Self { code: 78, message: message.to_string(), unconfirmed: false }
    }

    /// The same, of a write that may have been made all the same.
    pub(super) fn unconfirmed_if(self, unconfirmed: bool) -> Self {
        Self { unconfirmed, ..self }
    }

    /// How what has failed has ended, for the audit log.
    pub(super) const fn outcome(&self) -> Outcome {
        if self.unconfirmed { Outcome::Unconfirmed } else { Outcome::Failed }
    }

    /// Says what is wrong.
    pub(super) fn report(&self) -> ExitCode {
        // With standard error closed there is nobody left to tell; the code still tells it.
        let _ = writeln!(std::io::stderr(), "sentinel: {}", self.message);
        ExitCode::from(self.code)
    }
}

/// What has failed now, or before: of several failures the first is told.
pub(super) fn failed(done: Result<(), Failure>, now: Failure) -> Result<(), Failure> {
    Err(match done {
        Ok(()) => now,
        Err(first) => Failure { unconfirmed: first.unconfirmed || now.unconfirmed, ..first },
    })
}

/// How something has ended that has failed or has not, for the audit log.
pub(super) fn outcome<T>(done: &Result<T, Failure>) -> Outcome {
    done.as_ref().err().map_or(Outcome::Ok, Failure::outcome)
}

/// Prints what clap says: help and versions are no failures; the rest is a wrong usage.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
}

impl From<settings::Error> for Failure {
    fn from(error: settings::Error) -> Self {
        Self::config(chain(&error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::unavailable(chain(&error))
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Store(error) => error.into(),
            AdminError::Contended => Self::unavailable(error),
            other => Self::refused(other),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Listen { .. } | StartError::Signals(_) => Self::unavailable(chain(&error)),
            StartError::Tls(_)
            | StartError::Passwords(_)
            | StartError::Templates(_)
            | StartError::PlainHttp(_)
            | StartError::Traces(_)
            | StartError::Unsupported(_) => Self::config(chain(&error)),
        }
    }
}
