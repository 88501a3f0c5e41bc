//! A stored hash, read: which scheme it is, with its own parameters.

use super::argon2_hash::Argon2Hash;
use super::bcrypt_hash::BcryptHash;
use super::error::HashError;
use super::policy::{Policy, Scheme};
use super::random;
use crate::domain::PasswordHash;

/// What an encoded hash says.
pub(super) enum Stored {
    Argon2(Argon2Hash),
    Bcrypt(BcryptHash),
}

impl Stored {
    /// Reads an encoded hash. Parameters beyond our limits are refused here, before anything is allocated for them.
    pub(super) fn parse(encoded: &str) -> Result<Self, HashError> {
        if encoded.starts_with("$argon2") {
            Argon2Hash::parse(encoded).map(Self::Argon2)
        } else if encoded.starts_with("$2") {
            BcryptHash::parse(encoded).map(Self::Bcrypt)
        } else {
            Err(HashError::Malformed("$argon2… or $2…"))
        }
    }
}

/// A hash that no password belongs to and that costs what the policy's own cost: random bytes where the salt and the
/// result would be. Nothing is computed, so that making it does not delay the start.
pub(super) fn dummy(policy: &Policy) -> Result<PasswordHash, HashError> {
    let encoded = match policy.scheme {
        Scheme::Argon2id => Argon2Hash::new(policy, random::bytes()?, random::bytes()?).to_string(),
        Scheme::Bcrypt => {
            BcryptHash::new(policy.bcrypt_cost, random::bytes()?, random::bytes()?).to_string()
        }
    };
    Ok(PasswordHash::own(encoded))
}
