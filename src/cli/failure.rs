//! Failures of commands: one line on standard error, and an exit code of `sysexits.h`.

use std::io::ErrorKind;
use std::process::ExitCode;

use super::output;
use crate::admin::AdminError;
use crate::app::StartError;
use crate::observe::audit::Outcome;
pub(super) use crate::observe::error_chain;
use crate::settings;
use crate::store::StoreError;

/// Failure of a command, with its exit code and the message for the operator.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    message: String,
    /// Whether a write may have taken place although it was not confirmed.
    unconfirmed: bool,
}

/// Signal that ends a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// SIGINT, as for Ctrl-C.
    Interrupt,
    Terminate,
    Hangup,
}

// By value, so that the constructors can be passed to `map_err`.
#[allow(clippy::needless_pass_by_value)]
impl Failure {
    /// Creates a failure with exit code 64 (`EX_USAGE`): the command line is invalid.
    pub(super) fn usage(message: impl ToString) -> Self {
        Self { code: 64, message: message.to_string(), unconfirmed: false }
    }

    /// Creates a failure with exit code 65 (`EX_DATAERR`): the request is refused, for example
    /// because a name is taken, a value is invalid, or a record does not exist.
    pub(super) fn refused(message: impl ToString) -> Self {
        Self { code: 65, message: message.to_string(), unconfirmed: false }
    }

    /// Creates a failure with exit code 69 (`EX_UNAVAILABLE`): a resource that is needed does not
    /// respond or cannot be opened.
    pub(super) fn unavailable(message: impl ToString) -> Self {
        Self { code: 69, message: message.to_string(), unconfirmed: false }
    }

    /// Creates a failure with exit code 74 (`EX_IOERR`): reading or writing failed.
    pub(super) fn io(message: impl ToString) -> Self {
        Self { code: 74, message: message.to_string(), unconfirmed: false }
    }

    /// Creates a failure with exit code 75 (`EX_TEMPFAIL`): the work is incomplete, and running the
    /// command again completes it.
    pub(super) fn incomplete(message: impl ToString) -> Self {
        Self { code: 75, message: message.to_string(), unconfirmed: false }
    }

    /// Creates the failure of a command that a signal ended, with the exit code that shells report
    /// for it: 130 for SIGINT (Ctrl-C).
    pub(super) fn interrupted(message: impl ToString, signal: Signal) -> Self {
        let failure = Self { code: 130, message: message.to_string(), unconfirmed: false };
        match signal {
            Signal::Interrupt => failure,
            Signal::Terminate => Self { code: 143, ..failure },
            Signal::Hangup => Self { code: 129, ..failure },
        }
    }

    /// Creates the failure of setting up the log: 69 if the system lacks a resource, otherwise 78.
    pub(super) fn log(error: &anyhow::Error) -> Self {
        let message = format!("cannot set up the log: {error}");
        if error.is::<std::io::Error>() {
            Self::unavailable(message)
        } else {
            Self::config(message)
        }
    }

    /// Creates a failure with exit code 78 (`EX_CONFIG`): the settings are invalid.
    pub(super) fn config(message: impl ToString) -> Self {
        Self { code: 78, message: message.to_string(), unconfirmed: false }
    }

    /// Returns this failure with the mark `unconfirmed`: whether its write may have taken place.
    pub(super) fn unconfirmed_if(self, unconfirmed: bool) -> Self {
        Self { unconfirmed, ..self }
    }

    /// Returns this failure of printing a change, with a message that the change is made.
    pub(super) fn after_change(self) -> Self {
        Self { message: format!("the change is made; {}", self.message), ..self }
    }

    /// Returns this failure, with a message that ends with `remedy`.
    pub(super) fn with_remedy(self, remedy: impl std::fmt::Display) -> Self {
        Self { message: format!("{}; {remedy}", self.message), ..self }
    }

    /// Returns the outcome of the failed operation, for the audit log.
    pub(super) const fn outcome(&self) -> Outcome {
        if self.unconfirmed { Outcome::Unconfirmed } else { Outcome::Failed }
    }

    /// Returns the message for the operator.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Prints the message on standard error and returns the exit code.
    pub(super) fn report(&self) -> ExitCode {
        output::message(&self.message);
        ExitCode::from(self.code)
    }
}

/// Returns the failure in `earlier`, if there is one, or else `now`. The returned failure is
/// unconfirmed (its write may have taken place) if either of them is.
pub(super) fn first_failure(earlier: Result<(), Failure>, now: Failure) -> Result<(), Failure> {
    Err(match earlier {
        Ok(()) => now,
        Err(first) => Failure { unconfirmed: first.unconfirmed || now.unconfirmed, ..first },
    })
}

/// Returns the outcome of an operation with this result, for the audit log.
pub(super) fn outcome<T>(result: &Result<T, Failure>) -> Outcome {
    result.as_ref().err().map_or(Outcome::Ok, Failure::outcome)
}

/// Prints clap's message and returns the exit code: success for help and version, else a usage
/// error.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
}

impl From<settings::Error> for Failure {
    fn from(error: settings::Error) -> Self {
        Self::config(error_chain(&error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing(_) => Self::refused(error),
            StoreError::Configuration(_) => Self::config(error_chain(&error)),
            error => Self::unavailable(error_chain(&error)),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Store(error) => error.into(),
            AdminError::Contended | AdminError::Random(_) => Self::unavailable(error),
            other => Self::refused(other),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Listen { ref source, .. } if source.kind() == ErrorKind::AddrInUse => {
                Self::unavailable(error_chain(&error)).with_remedy(
                    "stop the process that uses the address, or choose another one with --bind \
                     (server.bind; metrics.bind for metrics)",
                )
            }
            StartError::Listen { .. } | StartError::Signals(_) => {
                Self::unavailable(error_chain(&error))
            }
            StartError::Tls(_)
            | StartError::Passwords(_)
            | StartError::Templates(_)
            | StartError::PlainHttp(_)
            | StartError::Traces(_)
            | StartError::IncompleteSettings(_) => Self::config(error_chain(&error)),
        }
    }
}
