//! Firebase's variant of scrypt, for verifying hashes of Firebase Authentication. New hashes never
//! use it.
//!
//! The output of scrypt is a key of AES-256 in counter mode, which encrypts the signer key of the
//! Firebase project. The ciphertext is the hash. The string has all that is needed to verify it, in
//! the form that other servers use too:
//! `$fbscrypt$v=1,n=<log2 N>,r=<r>,p=<p>,ss=<salt separator>,sk=<signer key>$<salt>$<hash>`, each
//! value in base64. It is stored as it is imported.

use super::error::HashError;
use super::phc::{self, number};
use super::scrypt_hash::ScryptHash;
use aes::Aes256;
use aes::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Maximum length of the salt separator, in bytes. Firebase's is one byte.
const MAX_SEPARATOR: usize = 64;

/// A hash of Firebase Authentication, with the parameters of its project.
pub(super) struct FirebaseHash {
    /// scrypt with the salt and the salt separator of Firebase. Its output is the hash of Firebase,
    /// which is not the output of scrypt.
    scrypt: ScryptHash,
    signer_key: Vec<u8>,
}

impl FirebaseHash {
    /// Parses the string `$fbscrypt$…`.
    pub(super) fn parse(encoded: &str) -> Result<Self, HashError> {
        const EXPECTED: HashError =
            HashError::Malformed("$fbscrypt$v=1,n=…,r=…,p=…,ss=…,sk=…, a salt and a result");
        let ["fbscrypt", parameters, salt, output] = phc::fields(encoded).ok_or(EXPECTED)? else {
            return Err(EXPECTED);
        };
        let parameters: Vec<&str> = parameters.split(',').collect();
        let ["v=1", n, r, p, separator, signer_key] = parameters[..] else { return Err(EXPECTED) };
        let value =
            |text: &str, name: &str| text.strip_prefix(name).and_then(number).ok_or(EXPECTED);
        let parameters = [value(n, "n=")?, value(r, "r=")?, value(p, "p=")?];
        let separator = phc::decode_any(separator.strip_prefix("ss=").ok_or(EXPECTED)?)?;
        let signer_key = phc::decode_any(signer_key.strip_prefix("sk=").ok_or(EXPECTED)?)?;
        let (mut salt, output) = (phc::decode_any(salt)?, phc::decode_any(output)?);
        if separator.len() > MAX_SEPARATOR || signer_key.len() != output.len() {
            return Err(EXPECTED);
        }
        salt.extend(separator);
        Ok(Self { scrypt: ScryptHash::new(parameters, salt, output)?, signer_key })
    }

    /// Returns whether the password matches this hash.
    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        let mut key = Zeroizing::new([0; 32]);
        self.scrypt.derive(password, &mut *key)?;
        let cipher = Aes256::new(&Array::from(*key));
        let mut computed = Zeroizing::new(self.signer_key.clone());
        for (counter, chunk) in (0_u128..).zip(computed.chunks_mut(16)) {
            let mut block = Array::from(counter.to_be_bytes());
            cipher.encrypt_block(&mut block);
            chunk.iter_mut().zip(block).for_each(|(byte, key)| *byte ^= key);
        }
        Ok(computed.as_slice().ct_eq(self.scrypt.output()).into())
    }
}
