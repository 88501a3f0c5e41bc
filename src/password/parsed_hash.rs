//! Parsing of stored hashes into their scheme and parameters, and the rule for upgrading them.

use super::argon2_hash::Argon2Hash;
use super::bcrypt_hash::BcryptHash;
use super::error::HashError;
use super::firebase_scrypt::FirebaseHash;
use super::pbkdf2_hash::Pbkdf2Hash;
use super::policy::HashPolicy;
use super::prehashed_bcrypt::{self, PrehashedBcrypt};
use super::scrypt_hash::ScryptHash;
use super::sha_crypt_hash::ShaCryptHash;
use crate::domain::hash_limits::HashScheme;
use crate::domain::{PasswordHash, random_bytes};

/// A stored hash, parsed into function, parameters, salt and output.
pub(super) enum ParsedHash {
    Argon2(Argon2Hash),
    Bcrypt(BcryptHash),
    Pbkdf2(Pbkdf2Hash),
    Scrypt(ScryptHash),
    PrehashedBcrypt(PrehashedBcrypt),
    ShaCrypt(ShaCryptHash),
    Firebase(FirebaseHash),
}

/// Parser of one format of stored hashes.
type Parser = fn(&str) -> Result<ParsedHash, HashError>;

/// Formats of stored hashes: the prefix that identifies each, and its parser.
const FORMATS: [(&str, Parser); 9] = [
    ("$argon2", |text| Argon2Hash::parse(text).map(ParsedHash::Argon2)),
    ("$2", |text| BcryptHash::parse(text).map(ParsedHash::Bcrypt)),
    ("$pbkdf2-", |text| Pbkdf2Hash::parse(text).map(ParsedHash::Pbkdf2)),
    ("$scrypt$", |text| ScryptHash::parse(text).map(ParsedHash::Scrypt)),
    (prehashed_bcrypt::DJANGO, parse_prehashed),
    (prehashed_bcrypt::WORDPRESS, parse_prehashed),
    ("$5$", |text| ShaCryptHash::parse(text).map(ParsedHash::ShaCrypt)),
    ("$6$", |text| ShaCryptHash::parse(text).map(ParsedHash::ShaCrypt)),
    ("$fbscrypt$", |text| FirebaseHash::parse(text).map(ParsedHash::Firebase)),
];

fn parse_prehashed(text: &str) -> Result<ParsedHash, HashError> {
    PrehashedBcrypt::parse(text).map(ParsedHash::PrehashedBcrypt)
}

fn parser_of(encoded: &str) -> Option<Parser> {
    FORMATS.iter().find(|(prefix, _)| encoded.starts_with(prefix)).map(|(_, parser)| *parser)
}

/// Returns whether a text begins as a hash of one of the stored formats does.
pub(super) fn has_stored_format(encoded: &str) -> bool {
    parser_of(encoded).is_some()
}

impl ParsedHash {
    /// Parses the encoded text of a stored hash. Rejects parameters beyond the limits on stored
    /// hashes before any memory is allocated for the hash.
    pub(super) fn parse(encoded: &str) -> Result<Self, HashError> {
        let parser = parser_of(encoded);
        parser.ok_or(HashError::Malformed("the prefix of a supported format, such as $argon2"))?(
            encoded,
        )
    }
}

/// Returns the prefix of an encoded hash up to the salt: function and parameters. Hashes with equal
/// prefixes take equally long to verify. Returns `None` if the hash cannot be verified.
pub fn parameters_prefix(hash: &PasswordHash) -> Option<&str> {
    let encoded = hash.encoded();
    let bcrypt = matches!(
        ParsedHash::parse(encoded).ok()?,
        ParsedHash::Bcrypt(_) | ParsedHash::PrehashedBcrypt(_)
    );
    let last = encoded.rfind('$')?;
    // Only bcrypt has salt and output in one field.
    let end = if bcrypt { last } else { encoded.get(..last)?.rfind('$')? };
    encoded.get(..=end)
}

/// Returns whether a hash whose password was just verified should be replaced by a new hash that
/// follows `policy`.
///
/// A hash should be replaced if it uses another function, or less memory, fewer iterations, fewer
/// lanes or a lower cost than the policy. Stronger parameters are kept. An imported bcrypt hash is
/// replaced even if it is strong, because it may cover only the first 72 bytes of the password. A
/// malformed hash is to be replaced too.
pub fn needs_upgrade(hash: &PasswordHash, policy: &HashPolicy) -> bool {
    match (ParsedHash::parse(hash.encoded()), policy.scheme) {
        (Ok(ParsedHash::Argon2(stored)), HashScheme::Argon2id) => {
            !stored.is_current_argon2id()
                || stored.memory_kib() < policy.memory_kib
                || stored.iterations() < policy.iterations
                || stored.parallelism() < policy.parallelism
        }
        (Ok(ParsedHash::Bcrypt(stored)), HashScheme::Bcrypt) => {
            hash.is_imported() || stored.cost() < policy.bcrypt_cost
        }
        (Ok(_) | Err(_), _) => true,
    }
}

/// Creates a dummy hash that no password matches and that costs as much to verify as a hash of
/// `policy`. Salt and output are random bytes. Nothing is computed, so the start is not delayed.
pub(super) fn dummy(policy: &HashPolicy) -> Result<PasswordHash, HashError> {
    let encoded = match policy.scheme {
        HashScheme::Argon2id => {
            Argon2Hash::new(policy, random_bytes()?, random_bytes()?).to_string()
        }
        HashScheme::Bcrypt => {
            BcryptHash::new(policy.bcrypt_cost, random_bytes()?, random_bytes()?).to_string()
        }
    };
    Ok(PasswordHash::own(encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_prefix_ends_before_salt() {
        let salted = "$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";
        for prefix in ["$argon2id$v=19$m=19456,t=2,p=1", "$argon2i$m=64,t=3,p=1"] {
            let hash = PasswordHash::imported(format!("{prefix}{salted}"));
            assert_eq!(parameters_prefix(&hash), Some(format!("{prefix}$").as_str()));
        }
        let hash = "$2y$05$fj/gjPmP8CXix7klyZoZuuhPEh8PndMVrK7banHUUv78.NHhvFEra";
        assert_eq!(parameters_prefix(&PasswordHash::imported(hash.to_owned())), Some("$2y$05$"));
        assert_eq!(parameters_prefix(&PasswordHash::imported("no hash".to_owned())), None);
        let output = "a".repeat(86);
        for prefix in ["$6$", "$6$rounds=1000$"] {
            let hash = PasswordHash::imported(format!("{prefix}salt${output}"));
            assert_eq!(parameters_prefix(&hash), Some(prefix));
        }
        let output = "fj/gjPmP8CXix7klyZoZuuhPEh8PndMVrK7banHUUv78.NHhvFEra";
        for prefix in ["$wp$2y$05$", "bcrypt_sha256$$2b$05$"] {
            let hash = PasswordHash::imported(format!("{prefix}{output}"));
            assert_eq!(parameters_prefix(&hash), Some(prefix));
        }
        let prefix = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=AAAAAAAAAAAAAAAAAAAAAA==$";
        let hash = PasswordHash::imported(format!("{prefix}AAAAAA$AAAAAAAAAAAAAAAAAAAAAA"));
        assert_eq!(parameters_prefix(&hash), Some(prefix));
    }
}
