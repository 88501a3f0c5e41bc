//! Policy for new hashes, the rule for upgrading stored ones, and the limits for both.
//!
//! Settings have a type of their own, which `app` converts to [`Policy`].

use super::error::{HashError, PolicyError};
use super::stored::Stored;
use crate::domain::PasswordHash;
use crate::domain::hash_limits::{ARGON2_LANES, ARGON2_MEMORY_KIB, BCRYPT_COST};

/// Maximum work of one argon2 hash, memory times iterations, in KiB: 4 GiB, some seconds of one
/// core. Limiting the product instead of the iterations permits hashes with little memory and many
/// iterations, which some servers use.
const MAX_WORK_KIB: u64 = 1 << 22;

/// Maximum number of PBKDF2 iterations over all blocks of the output: about five seconds of one
/// core. Django uses a million.
const MAX_PBKDF2_ITERATIONS: u64 = 10_000_000;

/// Maximum memory (128 · N · r) and work (memory times p) of scrypt, in bytes: one or two seconds
/// of one core.
const MAX_SCRYPT_MEMORY: u64 = 256 << 20;
const MAX_SCRYPT_WORK: u64 = 1 << 30;

/// Maximum of scrypt's r and p, which are small compared with N in practice.
const MAX_SCRYPT_FACTOR: u32 = 64;

/// Hash function of new hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// argon2id (RFC 9106).
    Argon2id,
    /// bcrypt, in the format `$2b$`.
    Bcrypt,
}

/// Parameters of new hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Hash function. The parameters of the other function are ignored.
    pub scheme: Scheme,
    /// Memory of argon2id, in KiB per hash.
    pub memory_kib: u32,
    /// Passes of argon2id over the memory.
    pub iterations: u32,
    /// Lanes of argon2id. They are computed one after the other, because concurrent logins already
    /// use all cores.
    pub parallelism: u32,
    /// Cost of bcrypt, the binary logarithm of the number of rounds.
    pub bcrypt_cost: u32,
}

impl Policy {
    /// Checks that hashes can be made with this policy and that the limits on stored hashes accept
    /// them.
    ///
    /// # Errors
    /// [`PolicyError`] with the first parameter that is out of range.
    pub fn check(&self) -> Result<(), PolicyError> {
        match self.scheme {
            Scheme::Argon2id => self.check_argon2(),
            Scheme::Bcrypt => self.check_bcrypt(),
        }
    }

    fn check_argon2(&self) -> Result<(), PolicyError> {
        let (memory, lanes) = (self.memory_kib, self.parallelism);
        if !ARGON2_LANES.contains(&lanes) {
            return Err(PolicyError::Parallelism { max: *ARGON2_LANES.end(), got: lanes });
        }
        let least_memory = argon2::Params::MIN_M_COST * lanes;
        let most_memory = *ARGON2_MEMORY_KIB.end();
        if !(least_memory..=most_memory).contains(&memory) {
            return Err(PolicyError::Memory { min: least_memory, max: most_memory, got: memory });
        }
        if self.iterations == 0 || work(memory, self.iterations) > MAX_WORK_KIB {
            let max = MAX_WORK_KIB / u64::from(memory);
            return Err(PolicyError::Iterations {
                max: u32::try_from(max).unwrap_or(u32::MAX),
                got: self.iterations,
            });
        }
        Ok(())
    }

    fn check_bcrypt(&self) -> Result<(), PolicyError> {
        if BCRYPT_COST.contains(&self.bcrypt_cost) {
            return Ok(());
        }
        let (min, max) = BCRYPT_COST.into_inner();
        Err(PolicyError::BcryptCost { min, max, got: self.bcrypt_cost })
    }
}

/// Returns whether a hash whose password was just verified should be replaced by one that follows
/// the policy.
///
/// It should if it uses another function, or less memory, fewer iterations, fewer lanes or a lower
/// cost than the policy. Stronger parameters are kept. An imported bcrypt hash is replaced even if
/// it is strong, because it may cover only the first 72 bytes of the password. A malformed hash
/// does not follow the policy.
pub fn needs_upgrade(hash: &PasswordHash, policy: &Policy) -> bool {
    match (Stored::parse(hash.encoded()), policy.scheme) {
        (Ok(Stored::Argon2(stored)), Scheme::Argon2id) => {
            !stored.is_current_argon2id()
                || stored.memory_kib() < policy.memory_kib
                || stored.iterations() < policy.iterations
                || stored.parallelism() < policy.parallelism
        }
        (Ok(Stored::Bcrypt(stored)), Scheme::Bcrypt) => {
            hash.is_imported() || stored.cost() < policy.bcrypt_cost
        }
        (Ok(_) | Err(_), _) => true,
    }
}

/// Rejects a stored argon2 hash that is too costly to verify.
pub(super) fn check_stored_argon2(
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
) -> Result<(), HashError> {
    if memory_kib > *ARGON2_MEMORY_KIB.end() {
        return Err(HashError::TooCostly("m of at most 1 GiB"));
    }
    if work(memory_kib, iterations) > MAX_WORK_KIB {
        return Err(HashError::TooCostly("m times t of at most 4 GiB"));
    }
    if parallelism > *ARGON2_LANES.end() {
        return Err(HashError::TooCostly("p of at most 255"));
    }
    Ok(())
}

/// Rejects a stored bcrypt hash that is too costly to verify.
pub(super) fn check_stored_bcrypt(cost: u32) -> Result<(), HashError> {
    if cost > *BCRYPT_COST.end() {
        return Err(HashError::TooCostly("a bcrypt cost of at most 16"));
    }
    Ok(())
}

/// Rejects a stored PBKDF2 hash that is too costly to verify. Each block of output takes all of the
/// iterations.
pub(super) fn check_stored_pbkdf2(iterations: u32, blocks: usize) -> Result<(), HashError> {
    let blocks = u64::try_from(blocks).unwrap_or(u64::MAX);
    if u64::from(iterations).saturating_mul(blocks) > MAX_PBKDF2_ITERATIONS {
        return Err(HashError::TooCostly("at most 10 million iterations of PBKDF2"));
    }
    Ok(())
}

/// Rejects a stored scrypt hash that is too costly to verify.
pub(super) fn check_stored_scrypt(log_n: u32, r: u32, p: u32) -> Result<(), HashError> {
    if r > MAX_SCRYPT_FACTOR || p > MAX_SCRYPT_FACTOR {
        return Err(HashError::TooCostly("r and p of at most 64 in scrypt"));
    }
    let memory = 1_u64.checked_shl(log_n).unwrap_or(u64::MAX).saturating_mul(128 * u64::from(r));
    if memory > MAX_SCRYPT_MEMORY {
        return Err(HashError::TooCostly("at most 256 MiB for scrypt"));
    }
    if memory * u64::from(p) > MAX_SCRYPT_WORK {
        return Err(HashError::TooCostly("at most 1 GiB of work for scrypt"));
    }
    Ok(())
}

fn work(memory_kib: u32, iterations: u32) -> u64 {
    u64::from(memory_kib) * u64::from(iterations)
}
