//! Client secrets (RFC 6749 §2.3.1).

use secrecy::{ExposeSecret, SecretString};

use super::{Digest, base62};

const PREFIX: &str = "sns_";

/// A client secret in plain text: it exists when it is made, is shown once, and is never kept.
#[derive(Clone, Debug)]
pub struct ClientSecret(SecretString);

impl ClientSecret {
    /// A new secret of 256 random bits, with a prefix by which secret scanners can find a leak.
    pub fn generate() -> Self {
        let mut text = String::with_capacity(64);
        text.push_str(PREFIX);
        base62::encode(&rand::random::<[u8; 32]>(), &mut text);
        Self(SecretString::from(text))
    }

    /// What the store keeps of it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.expose_secret().as_bytes())
    }
}

impl ExposeSecret<str> for ClientSecret {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}
