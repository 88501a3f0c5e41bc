//! TLS: certificates from files, or a self-signed one for development. TLS 1.2 and 1.3 only.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, not readable, or holds nothing usable.
    #[error("cannot read the TLS {what} in {}: {reason}", path.display())]
    File {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key is not the certificate's, or is of a kind that cannot be used.
    #[error("the TLS certificate in {} and the key in {} do not work together: {source}",
        cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        #[source]
        source: rustls::Error,
    },
    /// The self-signed certificate could not be made or kept.
    #[error("cannot make a self-signed certificate in {}: {reason}", folder.display())]
    SelfSigned {
        /// Where it was to be kept.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The configuration for a certificate chain and a key in PEM files (PKCS#1, PKCS#8 or SEC1).
///
/// # Errors
/// [`TlsError`] that names the file.
pub fn from_files(cert: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let problem =
        |what, path: &Path, reason: String| TlsError::File { what, path: path.to_owned(), reason };
    let read =
        |what, path: &Path| fs::read(path).map_err(|error| problem(what, path, error.to_string()));
    let chain = CertificateDer::pem_slice_iter(&read("certificate", cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| problem("certificate", cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(problem("certificate", cert, "there is no PEM certificate in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(&read("key", key)?)
        .map_err(|error| problem("key", key, error.to_string()))?;
    let pair = |source| TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), source };
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(pair)
}

/// The file of the self-signed certificate in a folder, for clients to trust.
pub fn self_signed_path(folder: &Path) -> PathBuf {
    folder.join("self-signed-cert.pem")
}

/// The configuration for a self-signed certificate that is kept in `folder`, and made there for
/// `names` the first time. It is kept so that it can be trusted once.
///
/// # Errors
/// [`TlsError`] that names the folder or the file.
pub fn self_signed(folder: &Path, names: &[String]) -> Result<ServerConfig, TlsError> {
    let (cert, key) = (self_signed_path(folder), folder.join("self-signed-key.pem"));
    if !cert.exists() || !key.exists() {
        make(&cert, &key, names)
            .map_err(|reason| TlsError::SelfSigned { folder: folder.to_owned(), reason })?;
    }
    from_files(&cert, &key)
}

fn make(cert: &Path, key: &Path, names: &[String]) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let private = KeyPair::generate().map_err(|error| text(&error))?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(|error| text(&error))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Sentinel development certificate");
    // Not a certificate authority: who trusts it trusts this server, and nothing else.
    let public = params.self_signed(&private).map_err(|error| text(&error))?;
    write_private(key, &private.serialize_pem()).map_err(|error| text(&error))?;
    fs::write(cert, public.pem()).map_err(|error| text(&error))
}

/// Writes a file that only its owner may read, all of it or nothing, and its folder if there is none.
/// It takes the place of one that is there, whose mode would otherwise stay as it is.
///
/// # Errors
/// What the system says.
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

/// Takes any certificate, for a client that asks its own machine and tells it nothing.
#[derive(Debug)]
pub struct AnyCertificate(pub Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
