//! Client secrets that Sentinel generates (RFC 6749 §2.3.1).

use secrecy::{ExposeSecret, SecretString};

use super::{Digest, base62};

const PREFIX: &str = "sns_";

/// A client secret in plain text, which is shown once when generated and never stored.
#[derive(Clone, Debug)]
pub struct ClientSecret(SecretString);

impl ClientSecret {
    /// Generates a client secret of 256 random bits, with a prefix that secret scanners recognize.
    pub fn generate() -> Self {
        let mut text = String::with_capacity(64);
        text.push_str(PREFIX);
        base62::encode(&rand::random::<[u8; 32]>(), &mut text);
        Self(SecretString::from(text))
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
