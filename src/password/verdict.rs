//! What to say to a login, in the same time whether or not there is such a user.
//!
//! The same time means that of the policy's hashes. A hash that follows other parameters, or was made elsewhere, takes as
//! long as those do; where there are such, `floor` has all failures answered at one time.

use super::error::HashError;
use super::hasher::Hasher;
use super::policy;
use crate::domain::PasswordHash;
use secrecy::SecretString;
use std::hint::black_box;

/// What became of a login's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is not this user's, or there is no such user, or the stored hash cannot be used.
    Wrong,
    /// The password is this user's.
    Right {
        /// A hash of the same password that follows the policy, to be stored in place of the weaker one.
        upgrade: Option<PasswordHash>,
    },
}

/// A verdict, with what the operator should hear about the stored hash.
pub(super) struct Judgement {
    verdict: Verdict,
    trouble: Option<HashError>,
}

impl Judgement {
    /// Whether the password was wrong.
    pub(super) fn is_wrong(&self) -> bool {
        self.verdict == Verdict::Wrong
    }

    /// The verdict, once the trouble is logged. This is done by the caller of the pool and not by its worker, so that
    /// the line stands in the span of the request, which says who the user is.
    pub(super) fn log(self) -> Verdict {
        match (&self.verdict, self.trouble) {
            (_, None) => {}
            (Verdict::Wrong, Some(error)) => {
                tracing::error!(%error, "a user is locked out: the stored password hash cannot be used");
            }
            // It would be said at every login of this user, and nobody could do anything about it.
            (Verdict::Right { .. }, Some(error)) if error.is_about_the_password() => {
                tracing::debug!(%error, "a password hash stays as it is");
            }
            (Verdict::Right { .. }, Some(error)) => {
                tracing::warn!(%error, "a password hash could not be upgraded");
            }
        }
        self.verdict
    }
}

/// Judges a password against the user's hash, or against the dummy if there is no user. A right one makes
/// a better hash where there should be one, if that is wanted.
pub(super) fn judge(
    hasher: &mut Hasher,
    password: &SecretString,
    stored: Option<&PasswordHash>,
    dummy: &PasswordHash,
    upgrading: bool,
) -> Result<Judgement, HashError> {
    let Some(stored) = stored else {
        return wrong_after_all(hasher, password, dummy, None);
    };
    match hasher.verify(password, stored) {
        Ok(true) if upgrading => Ok(right(hasher, password, stored)),
        Ok(true) => Ok(Judgement { verdict: Verdict::Right { upgrade: None }, trouble: None }),
        Ok(false) => Ok(Judgement { verdict: Verdict::Wrong, trouble: None }),
        Err(error @ (HashError::Malformed(_) | HashError::TooCostly(_))) => {
            wrong_after_all(hasher, password, dummy, Some(error))
        }
        Err(error) => Err(error),
    }
}

/// Pays the price of a verification for nothing.
fn wrong_after_all(
    hasher: &mut Hasher,
    password: &SecretString,
    dummy: &PasswordHash,
    trouble: Option<HashError>,
) -> Result<Judgement, HashError> {
    // Without the black box the compiler might see that the result is not used, and drop the work with it.
    black_box(hasher.verify(password, dummy)?);
    Ok(Judgement { verdict: Verdict::Wrong, trouble })
}

/// The password was right. If the hash should be replaced and cannot be, that is no reason to turn the user away.
fn right(hasher: &mut Hasher, password: &SecretString, stored: &PasswordHash) -> Judgement {
    let (upgrade, trouble) = if policy::needs_upgrade(stored, hasher.policy()) {
        match hasher.hash(password) {
            Ok(better) => (Some(better), None),
            Err(error) => (None, Some(error)),
        }
    } else {
        (None, None)
    };
    Judgement { verdict: Verdict::Right { upgrade }, trouble }
}
