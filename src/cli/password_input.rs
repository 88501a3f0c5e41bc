//! Reads passwords from standard input or a terminal. They are never taken from arguments, which
//! all users of the machine can read.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Write};

use clap::Args;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::failure::{Failure, Signal};
use super::output::{self, plain};
use crate::app::password_policy;
use crate::domain::{InvalidPassword, PasswordHash, check_password};
use crate::password::Hasher;
use crate::settings;

/// Maximum number of bytes of a password, so that a pipe that never ends does not fill the memory.
const MAX_BYTES: usize = 64 << 10;

/// Number of times that a password is asked for if the two entries differ.
const MAX_PROMPTS: u32 = 3;

/// Option that selects the source of a password.
#[derive(Debug, Args)]
pub(super) struct PasswordInput {
    /// Reads the password from standard input instead of prompting; drops one newline at its end
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordInput {
    /// Checks that a password can be read, before the command does anything else.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.password_stdin || (std::io::stdin().is_terminal() && has_terminal()) {
            return Ok(());
        }
        Err(Failure::usage(
            "cannot prompt for the password without a terminal; use --password-stdin and pipe it in",
        ))
    }

    /// Reads the password of `username` and hashes it.
    pub(super) async fn hash(
        &self,
        username: &str,
        settings: &settings::PasswordSettings,
    ) -> Result<PasswordHash, Failure> {
        let mut hasher = Hasher::new(password_policy(settings)).map_err(Failure::config)?;
        let password = if self.password_stdin {
            read_stdin("password")?
        } else {
            let username = username.to_owned();
            uninterrupted(move || prompt_twice(&username)).await?
        };
        check(&password, settings.min_length).map_err(Failure::refused)?;
        hasher.hash(&password).map_err(|error| {
            if error.is_caused_by_password() {
                Failure::refused(error)
            } else {
                Failure::unavailable(error)
            }
        })
    }
}

/// Checks a password set by an operator. A short password is accepted with a warning, since the
/// operator has access to the store anyway and scripts may have to set passwords that others have
/// chosen.
fn check(password: &SecretString, min_length: usize) -> Result<(), InvalidPassword> {
    match check_password(password.expose_secret(), min_length) {
        Err(InvalidPassword::TooShort(least)) => {
            output::message(format!(
                "warning: accepted a password with fewer than {least} characters (password.min_length)"
            ));
            Ok(())
        }
        checked => checked,
    }
}

/// Reads a password or secret (`what`) from standard input, without one newline at its end.
pub(super) fn read_stdin(what: &str) -> Result<SecretString, Failure> {
    // Allocated at once, since a buffer that grows leaves copies of the password in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
    std::io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io(format!("cannot read the {what}: {error}")))?;
    if bytes.len() > MAX_BYTES {
        return Err(Failure::refused(format!("the {what} is longer than {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::refused(format!("the {what} is not valid UTF-8")))?;
    // Windows PowerShell and some editors begin a text with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // `echo` and editors append one newline. More are a mistake, and the check of the password
    // rejects them.
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(SecretString::from(text))
}

/// Asks for a password until it has been entered twice in the same form, at most
/// [`MAX_PROMPTS`] times.
fn prompt_twice(username: &str) -> Result<SecretString, Failure> {
    for left in (0..MAX_PROMPTS).rev() {
        let first = prompt(&format!("Password for {}: ", plain(username)))?;
        let second = prompt("Repeat the password: ")?;
        if first.expose_secret() == second.expose_secret() {
            return Ok(first);
        }
        if left > 0 {
            output::message("the two passwords differ; enter the password again");
        }
    }
    Err(Failure::refused("the two passwords differ; nothing was changed"))
}

/// Returns whether the process has a controlling terminal, on which the prompt appears. Standard
/// input may be the terminal of another session.
fn has_terminal() -> bool {
    File::options().read(true).write(true).open("/dev/tty").is_ok()
}

fn prompt(text: &str) -> Result<SecretString, Failure> {
    rpassword::prompt_password(text).map(SecretString::from).map_err(|error| {
        if error.kind() == ErrorKind::Interrupted {
            return interrupted(Signal::Interrupt);
        }
        Failure::io(format!(
            "cannot prompt for the password: {error}; use --password-stdin and pipe it in"
        ))
    })
}

fn interrupted(signal: Signal) -> Failure {
    Failure::interrupted("interrupted; nothing was changed", signal)
}

/// Runs `ask`, which reads a password from the terminal without echo. A signal ends it, and the
/// terminal gets its former mode, which a process that a signal kills leaves without echo.
async fn uninterrupted(
    ask: impl FnOnce() -> Result<SecretString, Failure> + Send + 'static,
) -> Result<SecretString, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| {
            Failure::unavailable(format!("cannot install the signal handlers: {error}"))
        })
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let terminal = File::options().read(true).write(true).open("/dev/tty").ok();
    let mode = terminal.as_ref().and_then(|terminal| tcgetattr(terminal).ok());
    let (sender, answer) = oneshot::channel();
    // Not a blocking task of the runtime, for which the end of the process would wait.
    std::thread::spawn(move || sender.send(ask()).ok());
    let failure = tokio::select! {
        biased;
        asked = answer => return asked.unwrap_or_else(|_| Err(interrupted(Signal::Interrupt))),
        _ = interrupt.recv() => interrupted(Signal::Interrupt),
        _ = terminate.recv() => interrupted(Signal::Terminate),
        _ = hangup.recv() => interrupted(Signal::Hangup),
    };
    if let (Some(mut terminal), Some(mode)) = (terminal, mode) {
        // If this fails, the terminal is gone.
        let _ = tcsetattr(&terminal, OptionalActions::Now, &mode);
        let _ = terminal.write_all(b"\n");
    }
    Err(failure)
}
