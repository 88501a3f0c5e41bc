//! The work itself, synchronous and for one thread: hash a password, verify one.
//!
//! Not here: queues and threads (`pool`), and what to answer for a user that does not exist (`verdict`).

use super::argon2_hash::Argon2Hash;
use super::bcrypt_hash::BcryptHash;
use super::error::{HashError, PolicyError};
use super::memory::Memory;
use super::policy::{Policy, Scheme};
use super::random;
use super::stored::Stored;
use crate::domain::PasswordHash;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// Hashes and verifies passwords, keeping the memory it works in from one to the next.
pub struct Hasher {
    policy: Policy,
    memory: Memory,
}

impl Hasher {
    /// A hasher for new hashes of this policy. Memory is taken when first needed.
    pub fn new(policy: Policy) -> Result<Self, PolicyError> {
        policy.check()?;
        let keep = match policy.scheme {
            Scheme::Argon2id => usize::try_from(policy.memory_kib).unwrap_or(usize::MAX),
            Scheme::Bcrypt => 0,
        };
        Ok(Self { policy, memory: Memory::keeping(keep) })
    }

    /// The policy that new hashes follow.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Hashes a new password.
    ///
    /// Fails for a password that bcrypt cannot take ([`HashError::is_about_the_password`]), for want of memory or of
    /// random bytes.
    pub fn hash(&mut self, password: &SecretString) -> Result<PasswordHash, HashError> {
        let password = password.expose_secret().as_bytes();
        let encoded = match self.policy.scheme {
            Scheme::Argon2id => {
                let salt = random::bytes()?;
                Argon2Hash::compute(password, &self.policy, salt, &mut self.memory)?.to_string()
            }
            Scheme::Bcrypt => {
                let salt = random::bytes()?;
                BcryptHash::compute(password, self.policy.bcrypt_cost, salt)?.to_string()
            }
        };
        Ok(PasswordHash::own(encoded))
    }

    /// Whether the password is the one that the hash was made of, by the hash's own scheme and parameters.
    ///
    /// No password makes this fail; a stored hash that is malformed or too costly does, and want of memory.
    pub fn verify(
        &mut self,
        password: &SecretString,
        stored: &PasswordHash,
    ) -> Result<bool, HashError> {
        let password = password.expose_secret().as_bytes();
        match Stored::parse(stored.encoded())? {
            Stored::Argon2(hash) => hash.matches(password, &mut self.memory),
            Stored::Bcrypt(hash) => Ok(hash.matches(password, stored.is_imported())),
            Stored::Pbkdf2(hash) => Ok(hash.matches(password)),
            Stored::Scrypt(hash) => hash.matches(password),
        }
    }

    /// Gives the kept memory back to the operating system. The next hash takes it anew.
    pub fn release(&mut self) {
        self.memory.release();
    }

    /// How much memory is kept between hashes, in KiB: none before the first, and never more than the policy's.
    pub fn kept_kib(&self) -> usize {
        self.memory.kept_kib()
    }
}

/// Without the memory, whose contents come from passwords.
impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("policy", &self.policy)
            .field("kept_kib", &self.kept_kib())
            .finish_non_exhaustive()
    }
}
