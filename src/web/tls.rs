//! TLS support for [`super::certificate`] and [`super::self_signed`]: errors, reading of a
//! certificate with its key, and files that only their owner may read.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::store::pem::private_key_error;

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
    /// The private key does not belong to the certificate, or its type is not supported.
    #[error("the TLS certificate in {} and the key in {} do not work together: {source}",
        cert.display(), key.display())]
    Pair {
        /// Path of the file with the certificate chain.
        cert: PathBuf,
        /// Path of the file with the private key.
        key: PathBuf,
        /// Error from rustls about the pair of certificate and private key.
        #[source]
        source: rustls::Error,
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
    let read =
        |what, path: &Path| fs::read(path).map_err(|error| problem(what, path, error.to_string()));
    let chain = CertificateDer::pem_slice_iter(&read(cert_name, cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| problem(cert_name, cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(problem(cert_name, cert, "it contains no PEM certificate".to_owned()));
    }
    let text = read(key_name, key)?;
    let private = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| problem(key_name, key, private_key_error(&text, &error)))?;
    let pair = |source| TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), source };
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(pair)
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
