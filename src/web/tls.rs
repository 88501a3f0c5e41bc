//! TLS support for [`super::certificate`] and [`super::self_signed`]: errors, reading of a
//! certificate with its key, and files that only their owner may read.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::store::pem;

/// Reason why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key file is missing, unreadable, or contains nothing usable.
    #[error("cannot read the TLS {what} in {}: {reason}", path.display())]
    File {
        /// Name of the unusable file in error messages: certificate or key.
        what: &'static str,
        /// Path of the unusable file.
        path: PathBuf,
        /// Reason why the file is unusable.
        reason: String,
    },
    /// The private key does not belong to the certificate, or the certificate cannot be parsed.
    #[error("the TLS certificate in {} and the key in {} do not work together: {reason}",
        cert.display(), key.display())]
    Pair {
        /// Path of the file with the certificate chain.
        cert: PathBuf,
        /// Path of the file with the private key.
        key: PathBuf,
        /// Reason why the pair of certificate and private key is unusable.
        reason: String,
    },
    /// The self-signed certificate could not be made or stored.
    #[error("cannot make a self-signed certificate in {}: {reason}", folder.display())]
    SelfSigned {
        /// Folder in which the self-signed certificate was to be stored.
        folder: PathBuf,
        /// Reason why the self-signed certificate could not be made or stored.
        reason: String,
    },
}

/// Reads a certificate chain and its private key from PEM files, which error messages call `names`.
///
/// # Errors
/// Returns a [`TlsError`] that names the unusable file.
pub(super) fn read_certificate(
    cert: &Path,
    key: &Path,
    names: [&'static str; 2],
) -> Result<CertifiedKey, TlsError> {
    let [cert_name, key_name] = names;
    let problem =
        |what, path: &Path, reason: String| TlsError::File { what, path: path.to_owned(), reason };
    let read = |what, path: &Path| {
        pem::read_file(path).map_err(|error| problem(what, path, error.to_string()))
    };
    let text = read(cert_name, cert)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| problem(cert_name, cert, pem::pem_error(&text, &error, "certificate")))?;
    if chain.is_empty() {
        return Err(problem(cert_name, cert, "it contains no PEM certificate".to_owned()));
    }
    let text = read(key_name, key)?;
    let private = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| problem(key_name, key, pem::private_key_error(&text, &error)))?;
    let private =
        pem::signing_key(private).map_err(|reason| problem(key_name, key, reason.to_owned()))?;
    let certified = CertifiedKey::new(chain, private);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(error) => {
            let reason = mismatch(&certified, &error);
            Err(TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), reason })
        }
    }
}

/// Returns the reason why the key does not work with the first certificate of the chain, which must
/// be the server's. RFC 8446 §4.4.2: "The sender's certificate MUST come in the first
/// CertificateEntry in the list."
fn mismatch(certified: &CertifiedKey, error: &Error) -> String {
    let is_of_key = |certificate: &CertificateDer<'static>| {
        let key = Arc::clone(&certified.key);
        CertifiedKey::new(vec![certificate.clone()], key).keys_match().is_ok()
    };
    match (certified.cert.iter().position(is_of_key), error) {
        (Some(index), _) => format!(
            "the chain is in the wrong order: the key belongs to certificate {} of {}, which must be \
             the first one, before those that signed it",
            index + 1,
            certified.cert.len()
        ),
        (None, Error::InconsistentKeys(_)) => "the key belongs to another certificate".to_owned(),
        (None, error) => error.to_string(),
    }
}

/// Writes a file that only its owner may read, completely or not at all, and creates its folder if
/// necessary. An existing file is replaced and not overwritten, since overwriting would keep its
/// mode.
///
/// # Errors
/// Returns the operating system's error if the folder or the file cannot be written.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut folder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        folder.recursive(true).create(parent)?;
    }
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
