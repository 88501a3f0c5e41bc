//! Client secrets (RFC 6749 §2.3.1): generated ones, the form in which stores keep secrets, and the
//! rules for secrets from elsewhere.

use secrecy::{ExposeSecret, SecretString};

use super::{Digest, PasswordHash, RandomError, base62, random_bytes};

const PREFIX: &str = "sns_";

/// Minimum number of characters of a client secret that an operator chooses. Imported secrets may
/// be shorter, and cause a warning.
pub const MIN_CLIENT_SECRET: usize = 12;

/// A client secret in plain text, which is shown once when generated and never stored.
#[derive(Clone, Debug)]
pub struct ClientSecret(SecretString);

impl ClientSecret {
    /// Generates a client secret of 256 random bits, with a prefix that secret scanners recognize.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system supplies no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let mut text = String::with_capacity(64);
        text.push_str(PREFIX);
        base62::encode(&random_bytes::<32>()?, &mut text);
        Ok(Self(SecretString::from(text)))
    }

    /// Returns whether `text` has the form of a generated client secret. Guesses at such a secret
    /// are hopeless. Any other text may have been chosen by a person, and is treated as a password.
    pub fn is_generated_form(text: &str) -> bool {
        let digits = text.strip_prefix(PREFIX);
        digits.is_some_and(|digits| base62::decode::<32>(digits.as_bytes()).is_some())
    }

    /// Returns the SHA-256 digest of the client secret. The store keeps only this digest.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.expose_secret().as_bytes())
    }
}

impl ExposeSecret<str> for ClientSecret {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A client secret as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredSecret {
    /// SHA-256 digest: of a generated secret, or of a secret that was imported as its digest.
    Digest(Digest),
    /// Password hash of a secret of any other form.
    Hash(PasswordHash),
}

/// Reason why a client secret from elsewhere is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClientSecret {
    /// The client secret is empty or contains characters that RFC 6749 does not allow.
    #[error("the client secret is empty, or not printable ASCII")]
    Characters,
    /// The client secret has fewer than [`MIN_CLIENT_SECRET`] characters.
    #[error("the client secret has fewer than {MIN_CLIENT_SECRET} characters")]
    TooShort,
}

/// Checks a client secret that an operator chose or another server issued. RFC 6749 Appendix A.2:
/// `client-secret = *VSCHAR`. An empty secret proves nothing about a client.
///
/// # Errors
/// [`InvalidClientSecret`] with the reason. [`InvalidClientSecret::TooShort`] is the only one for a
/// secret that clients can send.
pub fn check_client_secret(secret: &str) -> Result<(), InvalidClientSecret> {
    if secret.is_empty() || !secret.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return Err(InvalidClientSecret::Characters);
    }
    if secret.len() < MIN_CLIENT_SECRET {
        return Err(InvalidClientSecret::TooShort);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_prefix_and_base62_of_32_octets_is_generated_form() {
        let secret = ClientSecret::generate().unwrap();
        let text = secret.expose_secret();
        assert!(ClientSecret::is_generated_form(text));
        for other in ["", "s3cret7", "sns_", &text[1..], &format!("{text}0"), &text[..46]] {
            assert!(!ClientSecret::is_generated_form(other), "{other}");
        }
        // 62^43 - 1 does not fit into 32 octets.
        assert!(!ClientSecret::is_generated_form(&format!("sns_{}", "z".repeat(43))));
    }

    #[test]
    fn chosen_secret_has_at_least_12_printable_characters() {
        assert_eq!(check_client_secret("twelve chars"), Ok(()));
        assert_eq!(check_client_secret("eleven char"), Err(InvalidClientSecret::TooShort));
        for bad in ["", "line\nbreak in it", "pässword pässword"] {
            assert_eq!(check_client_secret(bad), Err(InvalidClientSecret::Characters), "{bad}");
        }
    }
}
