//! PBKDF2 (RFC 8018) with HMAC, for verifying hashes of other servers. New hashes never use it.
//!
//! Hashes are stored as a PHC string, `$pbkdf2-sha256$i=<iterations>,l=<bytes>$<salt>$<output>`,
//! regardless of the format they were imported from.

use super::error::HashError;
use super::phc;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Maximum number of PBKDF2 iterations over all blocks of the output: about five seconds of one
/// core. Django uses a million.
const MAX_ITERATIONS: u64 = 10_000_000;

/// Hash function of the HMAC that PBKDF2 uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Sha1,
    Sha256,
    Sha512,
}

impl Function {
    const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// Returns the hash function with this name, such as `sha256`, or `None` for any other name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the length of one block of PBKDF2 output, in bytes. Each block takes all iterations.
    const fn block(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A PBKDF2 hash, with its hash function, iterations and salt.
pub(super) struct Pbkdf2Hash {
    function: Function,
    iterations: u32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Pbkdf2Hash {
    /// Creates a PBKDF2 hash from a hash function, iterations, a salt and an output.
    ///
    /// # Errors
    /// [`HashError::Malformed`] or [`HashError::TooCostly`] if a part is outside its limits.
    pub(super) fn new(
        function: Function,
        iterations: u32,
        salt: Vec<u8>,
        output: Vec<u8>,
    ) -> Result<Self, HashError> {
        phc::check(&salt, &output)?;
        if iterations == 0 {
            return Err(HashError::Malformed("at least one iteration"));
        }
        let blocks = output.len().div_ceil(function.block()) as u64;
        if u64::from(iterations).saturating_mul(blocks) > MAX_ITERATIONS {
            return Err(HashError::TooCostly("at most 10 million iterations of PBKDF2"));
        }
        Ok(Self { function, iterations, salt, output })
    }

    /// Returns whether the password matches this PBKDF2 hash.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut derived = Zeroizing::new(vec![0; self.output.len()]);
        let (salt, iterations) = (&*self.salt, self.iterations);
        match self.function {
            Function::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut derived),
            Function::Sha256 => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut derived);
            }
            Function::Sha512 => {
                pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut derived);
            }
        }
        derived.as_slice().ct_eq(self.output.as_slice()).into()
    }

    /// Parses a PHC string (`$pbkdf2-sha256$…`) into a PBKDF2 hash.
    pub(super) fn parse(encoded: &str) -> Result<Self, HashError> {
        const EXPECTED: HashError =
            HashError::Malformed("$pbkdf2-sha256$i=…,l=…, a salt and a result");
        let [name, params, salt, output] = phc::fields(encoded).ok_or(EXPECTED)?;
        let function = name.strip_prefix("pbkdf2-").and_then(Function::named).ok_or(EXPECTED)?;
        let [iterations, length] = phc::numbers(params, ["i=", "l="]).ok_or(EXPECTED)?;
        let hash = Self::new(function, iterations, phc::decode(salt)?, phc::decode(output)?)?;
        if usize::try_from(length) == Ok(hash.output.len()) { Ok(hash) } else { Err(EXPECTED) }
    }
}

/// Formats the PBKDF2 hash as a PHC string (`$pbkdf2-sha256$…`).
impl fmt::Display for Pbkdf2Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, iterations, length) = (self.function.name(), self.iterations, self.output.len());
        write!(
            f,
            "$pbkdf2-{name}$i={iterations},l={length}${}",
            phc::tail(&self.salt, &self.output)
        )
    }
}
