//! Verification of a login's password, in equal time whether or not the user exists.
//!
//! An unknown user is verified against a dummy hash that follows the policy. A stored hash with
//! other parameters, or of another function, takes a different time. If there are such hashes,
//! `timing_equalizer` equalizes the time of failures.

use super::error::HashError;
use super::hasher::{Hasher, normalized};
use super::parsed_hash::needs_upgrade;
use crate::domain::PasswordHash;
use crate::observe::log::ANY_CALLER;
use secrecy::{ExposeSecret, SecretString};
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

/// Returns the forms of a presented password that are verified, one after the other: the password
/// in Unicode Normalization Form C, and, where that differs, the password as presented. Other
/// servers, and earlier versions, hashed the octets that they received. The number of forms depends
/// on the password alone, so it reveals nothing about users.
pub(super) fn forms(password: &SecretString) -> Vec<SecretString> {
    let normalized = normalized(password);
    if normalized.expose_secret() == password.expose_secret() {
        vec![normalized]
    } else {
        vec![normalized, password.clone()]
    }
}

/// Verifies the forms of a password ([`forms`]) against the user's stored hash, or against a dummy
/// hash, which no password matches, if there is no user. If `may_upgrade` is set, the password is
/// correct, and the stored hash is weaker than the policy or of another form, the verdict contains
/// a new hash.
pub(super) fn verify_login(
    hasher: &mut Hasher,
    forms: &[SecretString],
    stored: Option<&PasswordHash>,
    dummy: &PasswordHash,
    may_upgrade: bool,
) -> Result<LoggedVerdict, HashError> {
    let Some(stored) = stored else {
        return reject_after_dummy(hasher, forms, dummy, None);
    };
    let mut is_right = false;
    for (index, form) in forms.iter().enumerate() {
        match hasher.verify(form, stored) {
            Ok(true) if may_upgrade => return Ok(accept(hasher, form, stored, index > 0)),
            // All forms are verified, so that a correct password takes as long as a wrong one.
            Ok(matches) => is_right |= matches,
            Err(error @ (HashError::Malformed(_) | HashError::TooCostly(_))) => {
                return reject_after_dummy(hasher, forms, dummy, Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    let verdict = if is_right { Verdict::Right { upgrade: None } } else { Verdict::Wrong };
    Ok(LoggedVerdict { verdict, error: None })
}

/// Returns [`Verdict::Wrong`] after verifying the password against the dummy hash, so that this
/// failed login takes as long as any other.
fn reject_after_dummy(
    hasher: &mut Hasher,
    forms: &[SecretString],
    dummy: &PasswordHash,
    error: Option<HashError>,
) -> Result<LoggedVerdict, HashError> {
    for form in forms {
        // The compiler might otherwise remove the verification, because its result is not used.
        black_box(hasher.verify(form, dummy)?);
    }
    Ok(LoggedVerdict { verdict: Verdict::Wrong, error })
}

/// Returns the verdict on a correct password, with a new hash if the stored hash is to be upgraded,
/// also because it is not of the normalized password. A failed upgrade does not reject the login.
fn accept(
    hasher: &mut Hasher,
    password: &SecretString,
    stored: &PasswordHash,
    is_other_form: bool,
) -> LoggedVerdict {
    let (upgrade, error) = if is_other_form || needs_upgrade(stored, hasher.policy()) {
        match hasher.hash(password) {
            Ok(better) => (Some(better), None),
            Err(error) => (None, Some(error)),
        }
    } else {
        (None, None)
    };
    LoggedVerdict { verdict: Verdict::Right { upgrade }, error }
}
