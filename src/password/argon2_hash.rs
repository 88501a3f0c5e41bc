//! argon2 (RFC 9106) and its PHC string, `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<output>`, base64
//! without padding.
//!
//! The string is parsed by hand. It has only six fields, the limits must be checked before
//! computing anyway, and the crate's `password-hash` feature would add a second set of types and
//! errors. The parser rejects the `keyid` and `data` parameters, which the RFC dropped, and
//! parameters in another order than the standard's.

use super::error::HashError;
use super::memory::Memory;
use super::phc;
use super::policy::HashPolicy;
use crate::domain::hash_limits::{ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_WORK_KIB};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Length of the salt of a new argon2 hash, in bytes, as RFC 9106 §3.1 recommends.
pub(super) const SALT_LEN: usize = 16;

/// Length of the output of a new argon2 hash, in bytes.
pub(super) const OUTPUT_LEN: usize = 32;

/// Accepted lengths of the salt and the output of a stored argon2 hash, in bytes. A truncated
/// output below the minimum could match by chance. The maximums are far above the lengths in use.
const STORED_SALT: std::ops::RangeInclusive<usize> = argon2::MIN_SALT_LEN..=128;
const STORED_OUTPUT: std::ops::RangeInclusive<usize> = 12..=128;

/// An argon2 hash, with its variant (such as argon2id), parameters and salt.
pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Argon2Hash {
    /// Creates an argon2id hash from its salt and output, with the parameters of `policy`.
    pub(super) fn new(policy: &HashPolicy, salt: [u8; SALT_LEN], output: [u8; OUTPUT_LEN]) -> Self {
        Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            memory_kib: policy.memory_kib,
            iterations: policy.iterations,
            parallelism: policy.parallelism,
            salt: salt.to_vec(),
            output: output.to_vec(),
        }
    }

    /// Computes the argon2id hash of a new password, with the parameters of `policy`.
    pub(super) fn compute(
        password: &[u8],
        policy: &HashPolicy,
        salt: [u8; SALT_LEN],
        memory: &mut Memory,
    ) -> Result<Self, HashError> {
        let mut hash = Self::new(policy, salt, [0; OUTPUT_LEN]);
        hash.output = hash.derive(password, memory)?.to_vec();
        Ok(hash)
    }

    /// Returns whether the password matches this argon2 hash.
    pub(super) fn matches(&self, password: &[u8], memory: &mut Memory) -> Result<bool, HashError> {
        let derived = self.derive(password, memory)?;
        Ok(derived.as_slice().ct_eq(self.output.as_slice()).into())
    }

    /// Computes the argon2 output for a password, with the parameters, salt and output length of
    /// this hash.
    fn derive(
        &self,
        password: &[u8],
        memory: &mut Memory,
    ) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let params = Params::new(self.memory_kib, self.iterations, self.parallelism, None)
            .map_err(HashError::Argon2)?;
        let blocks = params.block_count();
        let argon2 = Argon2::new(self.algorithm, self.version, params);
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        memory
            .lend(blocks, |blocks| {
                argon2.hash_password_into_with_memory(password, &self.salt, &mut output, blocks)
            })?
            .map_err(HashError::Argon2)?;
        Ok(output)
    }

    /// Parses a PHC string (`$argon2id$…`) into an argon2 hash.
    pub(super) fn parse(encoded: &str) -> Result<Self, HashError> {
        let mut fields = encoded.split('$').skip(1);
        let mut next = || fields.next().ok_or(HashError::Malformed("six PHC fields"));

        let algorithm = match next()? {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            "argon2d" => Algorithm::Argon2d,
            _ => return Err(HashError::Malformed("argon2id, argon2i or argon2d")),
        };
        let (version, params) = match next()? {
            "v=19" => (Version::V0x13, next()?),
            "v=16" => (Version::V0x10, next()?),
            // Strings older than version 1.3 of argon2 have no version field.
            params if params.starts_with("m=") => (Version::V0x10, params),
            _ => return Err(HashError::Malformed("v=19 or v=16")),
        };
        let [memory_kib, iterations, parallelism] = params_of(params)?;
        let salt = decode(next()?, STORED_SALT)?;
        let output = decode(next()?, STORED_OUTPUT)?;
        if fields.next().is_some() {
            return Err(HashError::Malformed("six PHC fields"));
        }
        Ok(Self { algorithm, version, memory_kib, iterations, parallelism, salt, output })
    }

    /// Returns whether variant and version of the hash are those of new argon2id hashes.
    pub(super) fn is_current_argon2id(&self) -> bool {
        self.algorithm == Algorithm::Argon2id && self.version == Version::V0x13
    }

    pub(super) fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    pub(super) fn iterations(&self) -> u32 {
        self.iterations
    }

    pub(super) fn parallelism(&self) -> u32 {
        self.parallelism
    }
}

/// Formats the argon2 hash as a PHC string (`$argon2id$…`).
impl fmt::Display for Argon2Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "${}$v={}$m={},t={},p={}${}",
            self.algorithm.as_str(),
            u32::from(self.version),
            self.memory_kib,
            self.iterations,
            self.parallelism,
            phc::tail(&self.salt, &self.output),
        )
    }
}

/// Parses the argon2 parameters `m=…,t=…,p=…`. Rejects unusable numbers and those above the limits.
fn params_of(field: &str) -> Result<[u32; 3], HashError> {
    let params @ [memory_kib, iterations, parallelism] =
        phc::numbers(field, ["m=", "t=", "p="]).ok_or(HashError::Malformed("m=…,t=…,p=…"))?;
    check_cost(memory_kib, iterations, parallelism)?;
    Params::new(memory_kib, iterations, parallelism, None)
        .map_err(|_| HashError::Malformed("m of at least 8 times p, and t and p of at least 1"))?;
    Ok(params)
}

/// Rejects argon2 parameters that make a stored hash too costly to verify.
fn check_cost(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<(), HashError> {
    if memory_kib > *ARGON2_MEMORY_KIB.end() {
        return Err(HashError::TooCostly("m of at most 1 GiB"));
    }
    if u64::from(memory_kib) * u64::from(iterations) > *ARGON2_WORK_KIB.end() {
        return Err(HashError::TooCostly("m times t of at most 4 GiB"));
    }
    if parallelism > *ARGON2_LANES.end() {
        return Err(HashError::TooCostly("p of at most 255"));
    }
    Ok(())
}

fn decode(field: &str, len: std::ops::RangeInclusive<usize>) -> Result<Vec<u8>, HashError> {
    STANDARD_NO_PAD
        .decode(field)
        .ok()
        .filter(|bytes| len.contains(&bytes.len()))
        .ok_or(HashError::Malformed("a salt of 8 to 128 and a result of 12 to 128 bytes in base64"))
}
