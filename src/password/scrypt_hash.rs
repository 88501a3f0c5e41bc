//! scrypt (RFC 7914), for verifying hashes of other servers. New hashes never use it.
//!
//! Hashes are stored as a PHC string, `$scrypt$ln=<log2 N>,r=<r>,p=<p>$<salt>$<output>`, regardless
//! of the format they were imported from.

use super::error::HashError;
use super::phc;
use scrypt::Params;
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Maximum memory (128 · N · r) and work (memory times p) of an scrypt hash, in bytes: one or two
/// seconds of one core.
const MAX_MEMORY: u64 = 256 << 20;
const MAX_WORK: u64 = 1 << 30;

/// Maximum of the scrypt parameters r and p, which are small compared with N in practice.
const MAX_FACTOR: u32 = 64;

/// An scrypt hash, with its parameters and salt.
pub(super) struct ScryptHash {
    log_n: u32,
    r: u32,
    p: u32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl ScryptHash {
    /// Creates an scrypt hash from log2 N, r and p, a salt and an output.
    ///
    /// # Errors
    /// [`HashError::Malformed`] or [`HashError::TooCostly`] if a part is outside its limits.
    pub(super) fn new(
        [log_n, r, p]: [u32; 3],
        salt: Vec<u8>,
        output: Vec<u8>,
    ) -> Result<Self, HashError> {
        phc::check(&salt, &output)?;
        check_cost(log_n, r, p)?;
        let hash = Self { log_n, r, p, salt, output };
        hash.params().map(|_| hash)
    }

    /// Returns whether the password matches this scrypt hash.
    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        let mut derived = Zeroizing::new(vec![0; self.output.len()]);
        self.derive(password, &mut derived)?;
        Ok(derived.as_slice().ct_eq(self.output()).into())
    }

    /// Computes the output of scrypt for a password, with the parameters and salt of this hash.
    pub(super) fn derive(&self, password: &[u8], derived: &mut [u8]) -> Result<(), HashError> {
        scrypt::scrypt(password, &self.salt, &self.params()?, derived)
            .map_err(|_| HashError::Malformed("a result of scrypt"))
    }

    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    fn params(&self) -> Result<Params, HashError> {
        const EXPECTED: HashError = HashError::Malformed(
            "parameters of scrypt: an N of at least 2, and r and p of at least 1",
        );
        let log_n = u8::try_from(self.log_n).map_err(|_| EXPECTED)?;
        Params::new(log_n, self.r, self.p).map_err(|_| EXPECTED)
    }

    /// Parses a PHC string (`$scrypt$…`) into an scrypt hash.
    pub(super) fn parse(encoded: &str) -> Result<Self, HashError> {
        const EXPECTED: HashError =
            HashError::Malformed("$scrypt$ln=…,r=…,p=…, a salt and a result");
        let ["scrypt", params, salt, output] = phc::fields(encoded).ok_or(EXPECTED)? else {
            return Err(EXPECTED);
        };
        let params = phc::numbers(params, ["ln=", "r=", "p="]).ok_or(EXPECTED)?;
        Self::new(params, phc::decode(salt)?, phc::decode(output)?)
    }
}

/// Rejects scrypt parameters that make a stored hash too costly to verify.
fn check_cost(log_n: u32, r: u32, p: u32) -> Result<(), HashError> {
    if r > MAX_FACTOR || p > MAX_FACTOR {
        return Err(HashError::TooCostly("r and p of at most 64 in scrypt"));
    }
    let memory = 1_u64.checked_shl(log_n).unwrap_or(u64::MAX).saturating_mul(128 * u64::from(r));
    if memory > MAX_MEMORY {
        return Err(HashError::TooCostly("at most 256 MiB for scrypt"));
    }
    if memory * u64::from(p) > MAX_WORK {
        return Err(HashError::TooCostly("at most 1 GiB of work for scrypt"));
    }
    Ok(())
}

/// Formats the scrypt hash as a PHC string (`$scrypt$…`).
impl fmt::Display for ScryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ln, r, p) = (self.log_n, self.r, self.p);
        write!(f, "$scrypt$ln={ln},r={r},p={p}${}", phc::tail(&self.salt, &self.output))
    }
}
