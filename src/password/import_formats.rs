//! Conversion of password hashes from the formats of other frameworks to the stored format.
//!
//! Supported formats:
//!
//! - PHC strings and bcrypt, which are kept unchanged;
//! - Django: `pbkdf2_sha256$…`, `pbkdf2_sha1$…`, `scrypt$…`, `argon2$…`, `bcrypt$…`;
//! - Werkzeug (Flask): `pbkdf2:sha256:…`, `scrypt:…`;
//! - Spring Security: `{bcrypt}`, `{argon2}`, `{pbkdf2}`, `{scrypt}`, with the default parameters
//!   before and since 5.8.
//!
//! A hash that cannot be verified is rejected here, with the reason, instead of at the user's next
//! login.

use super::error::HashError;
use super::parsed_hash::ParsedHash;
use super::pbkdf2_hash::{Function, Pbkdf2Hash};
use super::phc::number;
use super::scrypt_hash::ScryptHash;
use crate::domain::PasswordHash;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Error returned for a hash that cannot be imported. No message contains any part of the hash.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportHashError {
    /// The format of the hash to import is unknown.
    #[error("the format of the hash is unknown")]
    Unknown,
    /// The format of the hash is known but not supported. Holds the reason.
    #[error("the hash is {0}")]
    Unsupported(&'static str),
    /// The hash to import is malformed or too costly to verify.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// Result of converting a password hash to a stored format.
type ConvertHash<T> = Result<T, ImportHashError>;

/// Converts a hash from a format of Django, Werkzeug or Spring Security, or a PHC or bcrypt string.
/// Only parses the text; no hash is computed.
///
/// # Errors
/// [`ImportHashError`] if the format is unknown or unsupported, or the hash is malformed or too
/// costly to verify.
pub fn import_hash(text: &str) -> ConvertHash<PasswordHash> {
    let encoded =
        if let Some((encoder, rest)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
            spring(encoder, rest)?
        } else if text.starts_with('$') {
            text.to_owned()
        } else if let Some((method, rest)) = text.split_once(':').filter(|_| text.contains('$')) {
            werkzeug(method, rest)?
        } else {
            let (algorithm, rest) = text.split_once('$').ok_or(ImportHashError::Unknown)?;
            django(algorithm, rest)?
        };
    if !STORED.iter().any(|prefix| encoded.starts_with(prefix)) {
        return Err(ImportHashError::Unknown);
    }
    ParsedHash::parse(&encoded)?;
    Ok(PasswordHash::imported(encoded))
}

/// Prefixes of password hashes in the stored formats.
const STORED: [&str; 4] = ["$argon2", "$2", "$pbkdf2-", "$scrypt$"];

fn django(algorithm: &str, rest: &str) -> ConvertHash<String> {
    let malformed = |expected| HashError::Malformed(expected);
    if let Some(function) = algorithm.strip_prefix("pbkdf2_").and_then(Function::named) {
        let expected = || malformed("iterations, salt and result between dollar signs");
        let [iterations, salt, output] = split(rest).ok_or_else(expected)?;
        let iterations = number(iterations).ok_or_else(expected)?;
        let (salt, output) = (salt.as_bytes().to_vec(), base64(output)?);
        return Ok(Pbkdf2Hash::new(function, iterations, salt, output)?.to_string());
    }
    match algorithm {
        "argon2" => Ok(format!("${rest}")),
        "bcrypt" => Ok(rest.to_owned()),
        "scrypt" => {
            let expected = || malformed("N, salt, r, p and result between dollar signs");
            let [n, salt, r, p, output] = split(rest).ok_or_else(expected)?;
            let n = number(n).ok_or_else(expected)?;
            let (r, p) = number(r).zip(number(p)).ok_or_else(expected)?;
            let (salt, output) = (salt.as_bytes().to_vec(), base64(output)?);
            Ok(ScryptHash::new([log2(n)?, r, p], salt, output)?.to_string())
        }
        "bcrypt_sha256" => {
            Err(ImportHashError::Unsupported("bcrypt of a SHA-256 digest, which is not supported"))
        }
        "md5" | "sha1" | "unsalted_md5" | "unsalted_sha1" | "crypt" => {
            Err(ImportHashError::Unsupported("of a function that is too fast to be safe"))
        }
        _ => Err(ImportHashError::Unknown),
    }
}

fn werkzeug(method: &str, rest: &str) -> ConvertHash<String> {
    let expected = || HashError::Malformed("method, salt and result between dollar signs");
    let [parameters, salt, output] = split(rest).ok_or_else(expected)?;
    let (salt, output) = (salt.as_bytes().to_vec(), hex(output)?);
    match method {
        "pbkdf2" => {
            let (function, iterations) = parameters.split_once(':').ok_or_else(expected)?;
            let function = Function::named(function).ok_or(ImportHashError::Unsupported(
                "PBKDF2 with a function other than SHA-1, SHA-256 and SHA-512",
            ))?;
            let iterations = number(iterations).ok_or_else(expected)?;
            Ok(Pbkdf2Hash::new(function, iterations, salt, output)?.to_string())
        }
        "scrypt" => {
            let numbers: Option<Vec<u32>> = parameters.split(':').map(number).collect();
            let [n, r, p] = numbers.and_then(|n| n.try_into().ok()).ok_or_else(expected)?;
            Ok(ScryptHash::new([log2(n)?, r, p], salt, output)?.to_string())
        }
        _ => Err(ImportHashError::Unknown),
    }
}

/// Converts a Spring Security hash to a stored format. In PBKDF2 strings, salt and output are one
/// text; function and iterations are defaults that only Spring's source code states.
fn spring(encoder: &str, rest: &str) -> ConvertHash<String> {
    let pbkdf2 = |function, iterations, salt_length| {
        let mut salt = hex(rest)?;
        if salt.len() != salt_length + 32 {
            return Err(HashError::Malformed("salt and result of Spring's default lengths").into());
        }
        let output = salt.split_off(salt_length);
        Ok(Pbkdf2Hash::new(function, iterations, salt, output)?.to_string())
    };
    match encoder {
        "bcrypt" | "argon2" | "argon2@SpringSecurity_v5_8" => Ok(rest.to_owned()),
        "pbkdf2" => pbkdf2(Function::Sha1, 185_000, 8),
        "pbkdf2@SpringSecurity_v5_8" => pbkdf2(Function::Sha256, 310_000, 16),
        "scrypt" | "scrypt@SpringSecurity_v5_8" => {
            let expected = || HashError::Malformed("$parameters$salt$result");
            let ["", parameters, salt, output] = split(rest).ok_or_else(expected)? else {
                return Err(expected().into());
            };
            // One hexadecimal number: log2 N, then one byte each for r and p.
            let packed = u32::from_str_radix(parameters, 16).map_err(|_| expected())?;
            let parameters = [packed >> 16, packed >> 8 & 0xff, packed & 0xff];
            Ok(ScryptHash::new(parameters, base64(salt)?, base64(output)?)?.to_string())
        }
        "noop" => Err(ImportHashError::Unsupported("the password itself: give it as the password")),
        "ldap" | "MD4" | "MD5" | "SHA-1" | "SHA-256" | "sha256" => {
            Err(ImportHashError::Unsupported("of a function that is too fast to be safe"))
        }
        _ => Err(ImportHashError::Unknown),
    }
}

fn split<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('$').collect::<Vec<_>>().try_into().ok()
}

fn log2(n: u32) -> Result<u32, HashError> {
    if n.is_power_of_two() {
        Ok(n.trailing_zeros())
    } else {
        Err(HashError::Malformed("an N that is a power of two"))
    }
}

fn base64(text: &str) -> Result<Vec<u8>, HashError> {
    STANDARD.decode(text).map_err(|_| HashError::Malformed("a result in base64"))
}

fn hex(text: &str) -> Result<Vec<u8>, HashError> {
    hex::decode(text).map_err(|_| HashError::Malformed("a result in hexadecimal"))
}
