//! Verification of a login's password, in equal time whether or not the user exists.
//!
//! An unknown user is verified against a dummy hash that follows the policy. A stored hash with
//! other parameters, or of another function, takes a different time. If there are such hashes,
//! `timing_equalizer` equalizes the time of failures.

use super::error::HashError;
use super::hasher::Hasher;
use super::parsed_hash::needs_upgrade;
use crate::domain::PasswordHash;
use crate::observe::log::ANY_CALLER;
use secrecy::SecretString;
use std::hint::black_box;

/// Result of verifying the password of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is wrong, the user does not exist, or the stored hash cannot be used.
    Wrong,
    /// The password is correct.
    Right {
        /// A new hash of the password that follows the policy, to replace the stored hash. `None`
        /// if no upgrade is due or possible.
        upgrade: Option<PasswordHash>,
    },
}

/// A verdict on a login's password, with an error of the user's stored hash that is to be logged.
pub(super) struct LoggedVerdict {
    verdict: Verdict,
    error: Option<HashError>,
}

impl LoggedVerdict {
    /// Returns whether the verdict is [`Verdict::Wrong`].
    pub(super) fn is_wrong(&self) -> bool {
        self.verdict == Verdict::Wrong
    }

    /// Logs the error of the user's stored hash, if any, and returns the verdict. The caller of the
    /// pool logs it, not the worker, so that the log line carries the context of the request.
    pub(super) fn log(self) -> Verdict {
        match (&self.verdict, self.error) {
            (_, None) => {}
            (Verdict::Wrong, Some(error)) => {
                tracing::error!(name: ANY_CALLER, %error, "a user cannot log in, because the stored password hash is unusable; set a new password");
            }
            // Every login of this user would log this, and the operator cannot fix it.
            (Verdict::Right { .. }, Some(error)) if error.is_caused_by_password() => {
                tracing::debug!(%error, "cannot upgrade a password hash; the login succeeded");
            }
            (Verdict::Right { .. }, Some(error)) => {
                tracing::warn!(%error, "cannot upgrade a password hash; the login succeeded, and the next one tries again");
            }
        }
        self.verdict
    }
}

/// Verifies a password against the user's stored hash, or against a dummy hash, which no password
/// matches, if there is no user. If `may_upgrade` is set, the password is correct, and the stored
/// hash is weaker than the policy, the verdict contains a new hash.
pub(super) fn verify_login(
    hasher: &mut Hasher,
    password: &SecretString,
    stored: Option<&PasswordHash>,
    dummy: &PasswordHash,
    may_upgrade: bool,
) -> Result<LoggedVerdict, HashError> {
    let Some(stored) = stored else {
        return reject_after_dummy(hasher, password, dummy, None);
    };
    match hasher.verify(password, stored) {
        Ok(true) if may_upgrade => Ok(accept(hasher, password, stored)),
        Ok(true) => Ok(LoggedVerdict { verdict: Verdict::Right { upgrade: None }, error: None }),
        Ok(false) => Ok(LoggedVerdict { verdict: Verdict::Wrong, error: None }),
        Err(error @ (HashError::Malformed(_) | HashError::TooCostly(_))) => {
            reject_after_dummy(hasher, password, dummy, Some(error))
        }
        Err(error) => Err(error),
    }
}

/// Returns [`Verdict::Wrong`] after verifying the password against the dummy hash, so that this
/// failed login takes as long as any other.
fn reject_after_dummy(
    hasher: &mut Hasher,
    password: &SecretString,
    dummy: &PasswordHash,
    error: Option<HashError>,
) -> Result<LoggedVerdict, HashError> {
    // The compiler might otherwise remove the verification, because its result is not used.
    black_box(hasher.verify(password, dummy)?);
    Ok(LoggedVerdict { verdict: Verdict::Wrong, error })
}

/// Returns the verdict on a correct password, with a new hash if the stored hash is to be upgraded.
/// A failed upgrade does not reject the login.
fn accept(hasher: &mut Hasher, password: &SecretString, stored: &PasswordHash) -> LoggedVerdict {
    let (upgrade, error) = if needs_upgrade(stored, hasher.policy()) {
        match hasher.hash(password) {
            Ok(better) => (Some(better), None),
            Err(error) => (None, Some(error)),
        }
    } else {
        (None, None)
    };
    LoggedVerdict { verdict: Verdict::Right { upgrade }, error }
}
