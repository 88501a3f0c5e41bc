//! Conversion of password hashes from the formats of other frameworks to the stored format.
//!
//! Supported formats:
//!
//! - PHC strings, bcrypt, SHA-crypt (`$5$`, `$6$`), WordPress (`$wp$2y$`) and Firebase
//!   (`$fbscrypt$`), which are kept unchanged;
//! - Django: `pbkdf2_sha256$…`, `pbkdf2_sha1$…`, `scrypt$…`, `argon2$…`, `bcrypt$…`,
//!   `bcrypt_sha256$…`;
//! - Werkzeug (Flask): `pbkdf2:sha256:…`, `scrypt:…`;
//! - Spring Security: `{bcrypt}`, `{argon2}`, `{pbkdf2}`, `{scrypt}`, with the default parameters
//!   before and since 5.8;
//! - passlib: `$pbkdf2-sha256$<rounds>$…`, also of SHA-1 and SHA-512;
//! - LDAP servers and Dovecot: `{CRYPT}$…`, `{BLF-CRYPT}`, `{SHA512-CRYPT}`, `{ARGON2ID}`,
//!   `{PBKDF2-SHA256}<rounds>$…`;
//! - ASP.NET Core Identity: its version 3;
//! - Keycloak: a credential in JSON.
//!
//! A hash that cannot be verified is rejected here, with the reason, instead of at the user's next
//! login.

use super::error::HashError;
use super::parsed_hash::{self, ParsedHash};
use super::pbkdf2_hash::{Function, Pbkdf2Hash};
use super::phc::{self, number};
use super::prehashed_bcrypt::DJANGO;
use super::scrypt_hash::ScryptHash;
use crate::domain::PasswordHash;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

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

/// Reason for refusing hashes of functions that were not made for passwords.
const TOO_FAST: ImportHashError =
    ImportHashError::Unsupported("of a function that is too fast to be safe");

/// Converts a hash from one of the supported formats to its stored format. Only parses the text; no
/// hash is computed.
///
/// # Errors
/// [`ImportHashError`] if the format is unknown or unsupported, or the hash is malformed or too
/// costly to verify.
pub fn import_hash(text: &str) -> ConvertHash<PasswordHash> {
    let encoded = if let Some(credential) =
        text.strip_prefix('{').filter(|rest| is_json_object(rest))
    {
        keycloak(&format!("{{{credential}"))?
    } else if let Some((scheme, rest)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
        schemed(scheme, rest)?
    } else if text.starts_with('$') {
        crypt(text)?
    } else if text.starts_with(ASPNET_V3) && !text.contains(['$', ':']) {
        aspnet(text)?
    } else if let Some((method, rest)) = text.split_once(':').filter(|_| text.contains('$')) {
        werkzeug(method, rest)?
    } else {
        let (algorithm, rest) = text.split_once('$').ok_or(ImportHashError::Unknown)?;
        django(algorithm, rest)?
    };
    if !parsed_hash::has_stored_format(&encoded) {
        return Err(ImportHashError::Unknown);
    }
    ParsedHash::parse(&encoded)?;
    Ok(PasswordHash::imported(encoded))
}

fn is_json_object(after_brace: &str) -> bool {
    after_brace.trim_start().starts_with('"')
}

/// Converts a string of `crypt(3)` or passlib.
fn crypt(text: &str) -> ConvertHash<String> {
    const WEAK: [&str; 6] = ["$1$", "$apr1$", "$P$", "$H$", "$md5", "$sha1$"];
    if WEAK.iter().any(|prefix| text.starts_with(prefix)) {
        return Err(TOO_FAST);
    }
    if let Some(rest) = text.strip_prefix("$pbkdf2$") {
        return passlib(Function::Sha1, rest);
    }
    let named = text.strip_prefix("$pbkdf2-").and_then(|rest| rest.split_once('$'));
    match named.and_then(|(name, rest)| Some((Function::named(name)?, rest))) {
        Some((function, rest)) if rest.starts_with(|first: char| first.is_ascii_digit()) => {
            passlib(function, rest)
        }
        _ => Ok(text.to_owned()),
    }
}

/// Converts PBKDF2 of passlib and of LDAP servers: rounds, salt and result between dollar signs.
fn passlib(function: Function, rest: &str) -> ConvertHash<String> {
    let expected = || HashError::Malformed("rounds, salt and result between dollar signs");
    let [rounds, salt, output] = split(rest).ok_or_else(expected)?;
    let rounds = number(rounds).ok_or_else(expected)?;
    let (salt, output) = (phc::decode_any(salt)?, phc::decode_any(output)?);
    Ok(Pbkdf2Hash::new(function, rounds, salt, output)?.to_string())
}

/// Base64 of the first bytes of each hash of ASP.NET Core Identity, version 3: the version and the
/// upper bytes of the number of the hash function.
const ASPNET_V3: &str = "AQAAAA";

/// Converts a hash of ASP.NET Core Identity, version 3: in base64, one byte of version, three
/// numbers of four bytes (hash function, iterations, length of the salt), the salt and the result.
fn aspnet(text: &str) -> ConvertHash<String> {
    let bytes = base64(text)?;
    let expected = || HashError::Malformed("a hash of ASP.NET Core Identity, version 3");
    let number = |at: usize| {
        let bytes: Option<[u8; 4]> = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_be_bytes).ok_or_else(expected)
    };
    let function = match number(1)? {
        0 => Function::Sha1,
        1 => Function::Sha256,
        2 => Function::Sha512,
        _ => return Err(expected().into()),
    };
    let (iterations, salt_length) = (number(5)?, number(9)?);
    let rest = bytes.get(13..).unwrap_or_default();
    let at = usize::try_from(salt_length).ok();
    let (salt, output) = at.and_then(|at| rest.split_at_checked(at)).ok_or_else(expected)?;
    Ok(Pbkdf2Hash::new(function, iterations, salt.to_vec(), output.to_vec())?.to_string())
}

/// Converts a credential of Keycloak: a JSON object whose `secretData` and `credentialData` are
/// JSON objects, or texts that contain them.
fn keycloak(text: &str) -> ConvertHash<String> {
    let expected = || HashError::Malformed("a password credential of Keycloak");
    let credential: Value = serde_json::from_str(text).map_err(|_| expected())?;
    let part = |name: &str| match credential.get(name) {
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| expected()),
        Some(Value::Object(object)) => Ok(Value::Object(object.clone())),
        _ => Err(expected()),
    };
    let (secret, data): (Value, Value) = (part("secretData")?, part("credentialData")?);
    let bytes = |name: &str| {
        phc::decode_any(secret.get(name).and_then(Value::as_str).ok_or_else(expected)?)
    };
    let (salt, output) = (bytes("salt")?, bytes("value")?);
    let iterations = data.get("hashIterations").and_then(Value::as_u64);
    let iterations =
        iterations.and_then(|number| u32::try_from(number).ok()).ok_or_else(expected)?;
    let function = match data.get("algorithm").and_then(Value::as_str).ok_or_else(expected)? {
        "pbkdf2" => Function::Sha1,
        "pbkdf2-sha256" => Function::Sha256,
        "pbkdf2-sha512" => Function::Sha512,
        "argon2" => {
            let parameter = |name: &str| {
                let values = data.get("additionalParameters").and_then(|all| all.get(name));
                values.and_then(|values| values.get(0)).and_then(Value::as_str).ok_or_else(expected)
            };
            let version = match parameter("version")? {
                "1.3" => 19,
                "1.0" => 16,
                _ => return Err(expected().into()),
            };
            let (variant, memory) = (parameter("type")?, parameter("memory")?);
            let lanes = parameter("parallelism")?;
            return Ok(format!(
                "$argon2{variant}$v={version}$m={memory},t={iterations},p={lanes}${}",
                phc::tail(&salt, &output)
            ));
        }
        _ => return Err(ImportHashError::Unknown),
    };
    Ok(Pbkdf2Hash::new(function, iterations, salt, output)?.to_string())
}

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
        "bcrypt_sha256" => Ok(format!("{DJANGO}{rest}")),
        "md5" | "sha1" | "unsalted_md5" | "unsalted_sha1" | "crypt" => Err(TOO_FAST),
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

/// Converts a hash with a scheme in braces, as Spring Security, LDAP servers and Dovecot write it.
/// The names of LDAP schemes are case-insensitive (RFC 2307 §5.3 writes them in lower case). In
/// Spring's PBKDF2 strings, salt and output are one text; function and iterations are defaults that
/// only Spring's source code states.
fn schemed(scheme: &str, rest: &str) -> ConvertHash<String> {
    let pbkdf2 = |function, iterations, salt_length| {
        let mut salt = hex(rest)?;
        if salt.len() != salt_length + 32 {
            return Err(HashError::Malformed("salt and result of Spring's default lengths").into());
        }
        let output = salt.split_off(salt_length);
        Ok(Pbkdf2Hash::new(function, iterations, salt, output)?.to_string())
    };
    match &*scheme.to_ascii_lowercase() {
        "bcrypt" | "blf-crypt" | "sha256-crypt" | "sha512-crypt" => crypt(rest),
        "argon2" | "argon2i" | "argon2id" | "argon2@springsecurity_v5_8" => Ok(rest.to_owned()),
        "crypt" if rest.starts_with('$') => crypt(rest),
        "pbkdf2" | "pbkdf2-sha1" if rest.contains('$') => passlib(Function::Sha1, rest),
        "pbkdf2-sha256" => passlib(Function::Sha256, rest),
        "pbkdf2-sha512" => passlib(Function::Sha512, rest),
        "pbkdf2" => pbkdf2(Function::Sha1, 185_000, 8),
        "pbkdf2@springsecurity_v5_8" => pbkdf2(Function::Sha256, 310_000, 16),
        "scrypt" | "scrypt@springsecurity_v5_8" => {
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
        "ldap" | "md4" | "md5" | "smd5" | "sha-1" | "sha" | "ssha" | "sha-256" | "sha256"
        | "ssha256" | "sha512" | "ssha512" | "crypt" => Err(TOO_FAST),
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
