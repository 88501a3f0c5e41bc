//! scrypt (RFC 7914), for verifying hashes of other servers. New hashes never use it.
//!
//! Hashes are stored as a PHC string, `$scrypt$ln=<log2 N>,r=<r>,p=<p>$<salt>$<output>`, regardless
//! of the format they were imported from.

use super::error::HashError;
use super::phc;
use super::policy;
use scrypt::Params;
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A scrypt hash, with parameters and salt.
pub(super) struct ScryptHash {
    log_n: u32,
    r: u32,
    p: u32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl ScryptHash {
    /// Creates a hash from its parts.
    ///
    /// # Errors
    /// [`HashError::Malformed`] or [`HashError::TooCostly`] if a part is outside the limits.
    pub(super) fn new(
        [log_n, r, p]: [u32; 3],
        salt: Vec<u8>,
        output: Vec<u8>,
    ) -> Result<Self, HashError> {
        phc::check(&salt, &output)?;
        policy::check_stored_scrypt(log_n, r, p)?;
        let hash = Self { log_n, r, p, salt, output };
        hash.params().map(|_| hash)
    }

    /// Returns whether the password matches this hash.
    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        let mut derived = Zeroizing::new(vec![0; self.output.len()]);
        scrypt::scrypt(password, &self.salt, &self.params()?, &mut derived)
            .map_err(|_| HashError::Malformed("a result of scrypt"))?;
        Ok(derived.as_slice().ct_eq(self.output.as_slice()).into())
    }

    fn params(&self) -> Result<Params, HashError> {
        const EXPECTED: HashError = HashError::Malformed(
            "parameters of scrypt: an N of at least 2, and r and p of at least 1",
        );
        let log_n = u8::try_from(self.log_n).map_err(|_| EXPECTED)?;
        Params::new(log_n, self.r, self.p).map_err(|_| EXPECTED)
    }

    /// Parses a PHC string.
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

/// Formats the hash as a PHC string.
impl fmt::Display for ScryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ln, r, p) = (self.log_n, self.r, self.p);
        write!(f, "$scrypt$ln={ln},r={r},p={p}${}", phc::tail(&self.salt, &self.output))
    }
}
