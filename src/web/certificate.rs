//! The certificate of the listeners: from files, or a self-signed one ([`super::self_signed`]). It can be read
//! again while connections go on; each handshake takes the newest. TLS 1.2 and 1.3 only.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::reload::{Reload, ReloadError};
use super::self_signed;
use super::tls::TlsError;
use crate::domain::{Clock, Timestamp};

/// A certificate chain and its key, and where they come from.
pub struct Certificate {
    source: Source,
    clock: Arc<dyn Clock>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("source", &self.source).finish_non_exhaustive()
    }
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
    /// A self-signed one that is kept in `folder`, and made there for `names` the first time and when the one
    /// before is about to end. It is kept so that it can be trusted once.
    SelfSigned {
        /// Where it is kept.
        folder: PathBuf,
        /// What it is made out to.
        names: Vec<String>,
    },
}

impl Certificate {
    /// Reads the certificate. `clock` says whether a self-signed one is about to end.
    ///
    /// # Errors
    /// [`TlsError`] that names the folder or the file.
    pub fn load(source: Source, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(source.read(clock.now())?));
        Ok(Self { source, clock, current })
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
        let new = Arc::new(self.source.read(self.clock.now())?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

impl Source {
    /// Whether it can be used; makes nothing.
    ///
    /// # Errors
    /// [`TlsError`] that names the file.
    pub fn check(&self) -> Result<(), TlsError> {
        match self {
            Self::Files { cert, key } => from_files(cert, key).map(drop),
            Self::SelfSigned { folder, .. } => self_signed::check(folder),
        }
    }

    fn read(&self, now: Timestamp) -> Result<CertifiedKey, TlsError> {
        match self {
            Self::Files { cert, key } => from_files(cert, key),
            Self::SelfSigned { folder, names } => self_signed::read(folder, names, now),
        }
    }
}

/// Reads a chain and its key.
///
/// # Errors
/// [`TlsError`] that names the file.
pub(super) fn from_files(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
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
