//! PEM files with certificates and private keys. Those for connections to stores are read before
//! the first connection, whose error would be less specific.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;

use super::{Result, StoreError};
use crate::settings::read_limited;

/// Returns the content of the PEM file at `path`, the value of the setting `setting`. Returns
/// [`StoreError::Configuration`] unless the file contains a certificate: with an empty list, no
/// peer would be trusted.
pub(super) fn certificates(setting: &str, path: &Path) -> Result<Vec<u8>> {
    let text = read(setting, path)?;
    let first = CertificateDer::from_pem_slice(&text);
    first
        .map_err(|error| unusable_file(setting, path, &pem_error(&text, &error, "certificate")))?;
    Ok(text)
}

/// Returns the content of the PEM file at `path`, the value of the setting `setting`. Returns
/// [`StoreError::Configuration`] unless the file contains a private key of a supported type without
/// a passphrase.
pub(super) fn private_key(setting: &str, path: &Path) -> Result<Vec<u8>> {
    let text = read(setting, path)?;
    let key = PrivateKeyDer::from_pem_slice(&text);
    let key =
        key.map_err(|error| unusable_file(setting, path, &private_key_error(&text, &error)))?;
    signing_key(key).map_err(|reason| unusable_file(setting, path, reason))?;
    Ok(text)
}

/// Returns the reason why the PEM text contains no usable private key; `error` is the error of the
/// PEM parser. Recognises a key with a passphrase by its label in PKCS#8 (RFC 7468 §11) or by its
/// header in the older format (RFC 1421 §4.6.1.1).
pub fn private_key_error(text: &[u8], error: &Error) -> String {
    let words = String::from_utf8_lossy(text);
    if words.contains("BEGIN ENCRYPTED PRIVATE KEY") || words.contains("Proc-Type: 4,ENCRYPTED") {
        return "it is encrypted; a key without a passphrase is needed, as `openssl pkey -in OLD -out NEW` \
                makes it"
            .to_owned();
    }
    pem_error(text, error, "private key")
}

/// Returns the private key as TLS uses it.
///
/// # Errors
/// The supported types of keys, in a sentence for the operator, if the key has another one.
pub fn signing_key(key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, &'static str> {
    ring::default_provider().key_provider.load_private_key(key).map_err(|_| {
        "its type is not supported, or it is damaged; use an RSA key of 2048 to 4096 bits, an ECDSA \
         key on the curve P-256 or P-384, or an Ed25519 key, and a certificate for it"
    })
}

/// Reads a PEM file, whose size is limited.
///
/// # Errors
/// The error of the operating system, or that of a file that is too large.
pub fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    read_limited(path)
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>> {
    read_limited(path).map_err(|error| unusable_file(setting, path, &error.to_string()))
}

/// Returns the reason why the PEM text contains no `what`, certificate or private key; `error` is
/// the error of the PEM parser. The parser's own messages quote the text as a list of numbers.
pub fn pem_error(text: &[u8], error: &Error, what: &str) -> String {
    match error {
        Error::NoItemsFound => format!("it contains no PEM {what}"),
        Error::MissingSectionEnd { .. } | Error::IllegalSectionStart { .. } => {
            let has_end = String::from_utf8_lossy(text).contains("-----END ");
            if has_end {
                "the lines BEGIN and END of its PEM text must be lines of their own; the line breaks \
                 may have been lost in an environment variable or in YAML"
                    .to_owned()
            } else {
                "its PEM text has no END line; the file may be cut off".to_owned()
            }
        }
        Error::Base64Decode(_) => {
            "the text between the lines BEGIN and END is not base64; the file may be damaged"
                .to_owned()
        }
        error => error.to_string(),
    }
}

fn unusable_file(setting: &str, path: &Path, reason: &str) -> StoreError {
    StoreError::Configuration(format!("{setting}: cannot use {}: {reason}", path.display()))
}
