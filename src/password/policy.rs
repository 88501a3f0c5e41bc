//! Policy for new hashes.
//!
//! Settings have a type of their own, which `app` converts to [`HashPolicy`].

use super::error::PolicyError;
use crate::domain::hash_limits::{
    ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_WORK_KIB, BCRYPT_COST, HashScheme,
};

/// Policy: the hash function and parameters of new password hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashPolicy {
    /// Hash function of new password hashes. The parameters of the other function are ignored.
    pub scheme: HashScheme,
    /// Memory of one argon2id hash, in KiB.
    pub memory_kib: u32,
    /// Number of passes of argon2id over its memory.
    pub iterations: u32,
    /// Number of lanes of argon2id, which are computed one after the other, because concurrent
    /// logins already use all cores.
    pub parallelism: u32,
    /// Cost of bcrypt: the binary logarithm of the number of rounds.
    pub bcrypt_cost: u32,
}

impl HashPolicy {
    /// Checks that hashes can be made with this policy and do not exceed the limits on stored
    /// hashes.
    ///
    /// # Errors
    /// [`PolicyError`] with the first parameter that is out of range.
    pub fn check(&self) -> Result<(), PolicyError> {
        match self.scheme {
            HashScheme::Argon2id => self.check_argon2(),
            HashScheme::Bcrypt => self.check_bcrypt(),
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
        let (most_work, memory) = (*ARGON2_WORK_KIB.end(), u64::from(memory));
        if self.iterations == 0 || memory * u64::from(self.iterations) > most_work {
            let max = most_work / memory;
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
