//! The certificate of the listeners: from files, or a self-signed one for development. It can be read
//! again while connections go on; each handshake takes the newest. TLS 1.2 and 1.3 only.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::reload::{Reload, ReloadError};
use super::tls::{TlsError, write_private};

/// A certificate chain and its key, and where they come from.
#[derive(Debug)]
pub struct Certificate {
    source: Source,
    current: RwLock<Arc<CertifiedKey>>,
}

/// Where a certificate comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// PEM files of the operator's (the key in PKCS#1, PKCS#8 or SEC1).
    Files {
        /// The chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// A self-signed one that is kept in `folder`, and made there for `names` the first time. It is
    /// kept so that it can be trusted once.
    SelfSigned {
        /// Where it is kept.
        folder: PathBuf,
        /// What it is made out to.
        names: Vec<String>,
    },
}

impl Certificate {
    /// Reads the certificate.
    ///
    /// # Errors
    /// [`TlsError`] that names the folder or the file.
    pub fn load(source: Source) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(source.read()?));
        Ok(Self { source, current })
    }

    /// The configuration of a listener that serves whatever is newest.
    ///
    /// # Errors
    /// None with the protocol versions as they are.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let resolver = Arc::<Self>::clone(self);
        Ok(ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Versions)?
            .with_no_client_auth()
            .with_cert_resolver(resolver))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&*self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Reload for Certificate {
    fn what(&self) -> &'static str {
        "certificate"
    }

    fn reload(&self) -> Result<(), ReloadError> {
        let new = Arc::new(self.source.read()?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

impl Source {
    fn read(&self) -> Result<CertifiedKey, TlsError> {
        match self {
            Self::Files { cert, key } => from_files(cert, key),
            Self::SelfSigned { folder, names } => self_signed(folder, names),
        }
    }
}

fn from_files(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
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
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(pair)
}

/// The file of the self-signed certificate in a folder, for clients to trust.
pub fn self_signed_path(folder: &Path) -> PathBuf {
    folder.join("self-signed-cert.pem")
}

fn self_signed(folder: &Path, names: &[String]) -> Result<CertifiedKey, TlsError> {
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
