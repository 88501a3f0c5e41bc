//! PEM files with certificates and private keys. Those for connections to stores are read before
//! the first connection, whose error would be less specific.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Result, StoreError};

/// Returns the content of the PEM file at `path`, the value of the setting `setting`. Returns
/// [`StoreError::Configuration`] unless the file contains a certificate: with an empty list, no
/// peer would be trusted.
pub(super) fn certificates(setting: &str, path: &Path) -> Result<Vec<u8>> {
    let text = read(setting, path)?;
    let first = CertificateDer::from_pem_slice(&text);
    first.map_err(|error| unusable_file(setting, path, &reason(&error, "certificate")))?;
    Ok(text)
}

/// Returns the content of the PEM file at `path`, the value of the setting `setting`. Returns
/// [`StoreError::Configuration`] unless the file contains a private key without a passphrase.
pub(super) fn private_key(setting: &str, path: &Path) -> Result<Vec<u8>> {
    let text = read(setting, path)?;
    let key = PrivateKeyDer::from_pem_slice(&text);
    key.map_err(|error| unusable_file(setting, path, &private_key_error(&text, &error)))?;
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
    reason(error, "private key")
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unusable_file(setting, path, &error.to_string()))
}

fn reason(error: &Error, what: &str) -> String {
    match error {
        Error::NoItemsFound => format!("it contains no PEM {what}"),
        error => error.to_string(),
    }
}

fn unusable_file(setting: &str, path: &Path, reason: &str) -> StoreError {
    StoreError::Configuration(format!("{setting}: cannot use {}: {reason}", path.display()))
}
