//! Synchronous hashing and verification on the calling thread.
//!
//! Not here: queue and threads (`pool`), and logins of unknown users (`verdict`).

use super::argon2_hash::Argon2Hash;
use super::bcrypt_hash::BcryptHash;
use super::error::{HashError, PolicyError};
use super::memory::Memory;
use super::parsed_hash::ParsedHash;
use super::policy::HashPolicy;
use crate::domain::hash_limits::HashScheme;
use crate::domain::{PasswordHash, random_bytes, to_nfc};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// Hashes and verifies passwords on the calling thread, reusing the working memory of argon2.
pub struct Hasher {
    policy: HashPolicy,
    memory: Memory,
}

impl Hasher {
    /// Creates a hasher whose new hashes follow `policy`. Working memory is allocated on first use.
    ///
    /// # Errors
    /// [`PolicyError`] if a parameter of the policy is out of range.
    pub fn new(policy: HashPolicy) -> Result<Self, PolicyError> {
        policy.check()?;
        let keep = match policy.scheme {
            HashScheme::Argon2id => usize::try_from(policy.memory_kib).unwrap_or(usize::MAX),
            HashScheme::Bcrypt => 0,
        };
        Ok(Self { policy, memory: Memory::keeping(keep) })
    }

    /// Returns the policy (function and parameters) of new hashes.
    pub fn policy(&self) -> &HashPolicy {
        &self.policy
    }

    /// Hashes a new password, in Unicode Normalization Form C, with the function and parameters of
    /// the policy.
    ///
    /// # Errors
    /// [`HashError::TooLong`] or [`HashError::HasNul`] if bcrypt cannot hash the password
    /// ([`HashError::is_caused_by_password`]), and another [`HashError`] if memory or random bytes
    /// cannot be obtained.
    pub fn hash(&mut self, password: &SecretString) -> Result<PasswordHash, HashError> {
        let password = normalized(password);
        let password = password.expose_secret().as_bytes();
        let encoded = match self.policy.scheme {
            HashScheme::Argon2id => {
                let salt = random_bytes()?;
                Argon2Hash::compute(password, &self.policy, salt, &mut self.memory)?.to_string()
            }
            HashScheme::Bcrypt => {
                let salt = random_bytes()?;
                BcryptHash::compute(password, self.policy.bcrypt_cost, salt)?.to_string()
            }
        };
        Ok(PasswordHash::own(encoded))
    }

    /// Returns whether the octets of the password match the hash, verified with the hash's own
    /// scheme and parameters.
    ///
    /// # Errors
    /// [`HashError`] if the stored hash is malformed or too costly, or if memory cannot be
    /// allocated. No password causes an error.
    pub fn verify(
        &mut self,
        password: &SecretString,
        stored: &PasswordHash,
    ) -> Result<bool, HashError> {
        let password = password.expose_secret().as_bytes();
        match ParsedHash::parse(stored.encoded())? {
            ParsedHash::Argon2(hash) => hash.matches(password, &mut self.memory),
            ParsedHash::Bcrypt(hash) => Ok(hash.matches(password, stored.is_imported())),
            ParsedHash::Pbkdf2(hash) => Ok(hash.matches(password)),
            ParsedHash::Scrypt(hash) => hash.matches(password),
            ParsedHash::PrehashedBcrypt(hash) => Ok(hash.matches(password)),
            ParsedHash::ShaCrypt(hash) => Ok(hash.matches(password)),
            ParsedHash::Firebase(hash) => hash.matches(password),
        }
    }

    /// Returns the kept working memory to the operating system. The next hash allocates it again.
    pub fn release(&mut self) {
        self.memory.release();
    }

    /// Returns how much working memory is kept between hashes, in KiB: none before the first hash,
    /// and at most the memory of one hash of the policy.
    pub fn kept_kib(&self) -> usize {
        self.memory.kept_kib()
    }
}

/// Returns the password in the form in which new hashes are made.
pub(super) fn normalized(password: &SecretString) -> SecretString {
    SecretString::from(to_nfc(password.expose_secret()).into_owned())
}

/// Formats the hasher without its working memory, whose contents are derived from passwords.
impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("policy", &self.policy)
            .field("kept_kib", &self.kept_kib())
            .finish_non_exhaustive()
    }
}
