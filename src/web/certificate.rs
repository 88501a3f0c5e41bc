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
use super::tls::TlsError;
use super::{self_signed, validity};
use crate::domain::{Clock, Timestamp};
use crate::store::pem::why_no_key;

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
    /// A self-signed one that is kept in `folder`, and made there the first time and when the one
    /// before is about to end. It is kept so that it can be trusted once.
    SelfSigned {
        /// Where it is kept.
        folder: PathBuf,
        /// What it is made out to beside this machine: the host of the public URL.
        host: Option<String>,
    },
}

impl Certificate {
    /// Reads the certificate. `clock` says whether a self-signed one is about to end.
    ///
    /// # Errors
    /// [`TlsError`] that names the folder or the file.
    pub fn load(source: Source, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(source.read(clock.now())?));
        let certificate = Self { source, clock, current };
        certificate.warn();
        Ok(certificate)
    }

    /// What clients will have against it.
    fn warn(&self) {
        for warning in self.source.warnings(&self.current(), self.clock.now()) {
            tracing::warn!("{warning}");
        }
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> Option<Timestamp> {
        validity::not_after(self.current().cert.first()?)
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&*self.current.read().unwrap_or_else(PoisonError::into_inner))
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
        Some(self.current())
    }
}

impl Reload for Certificate {
    fn what(&self) -> &'static str {
        "certificate"
    }

    fn not_after(&self) -> Option<Timestamp> {
        Self::not_after(self)
    }

    fn reload(&self) -> Result<(), ReloadError> {
        let new = Arc::new(self.source.read(self.clock.now())?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        self.warn();
        Ok(())
    }
}

impl Source {
    /// Whether it can be used, and what clients will have against it; makes nothing.
    ///
    /// # Errors
    /// [`TlsError`] that names the file.
    pub fn check(&self, now: Timestamp) -> Result<Vec<String>, TlsError> {
        let there = match self {
            Self::Files { cert, key } => Some(from_files(cert, key, OF_SETTINGS)?),
            Self::SelfSigned { folder, .. } => self_signed::kept(folder, now)?,
        };
        Ok(there.map(|there| self.warnings(&there, now)).unwrap_or_default())
    }

    fn read(&self, now: Timestamp) -> Result<CertifiedKey, TlsError> {
        match self {
            Self::Files { cert, key } => from_files(cert, key, OF_SETTINGS),
            Self::SelfSigned { folder, host } => self_signed::read(folder, host.as_deref(), now),
        }
    }

    /// Why clients will refuse it, as far as that can be seen here.
    fn warnings(&self, used: &CertifiedKey, now: Timestamp) -> Vec<String> {
        let Some(certificate) = used.cert.first() else { return Vec::new() };
        match self {
            Self::Files { cert, .. } => {
                let path = cert.display();
                let over = validity::not_after(certificate).filter(|end| *end < now).map(|end| {
                    format!(
                        "the certificate in {path} (tls.cert) has expired: it was valid until {end}"
                    )
                });
                let early = validity::not_before(certificate).filter(|start| *start > now);
                let early = early.map(|start| {
                    format!("the certificate in {path} (tls.cert) is not valid before {start}")
                });
                over.into_iter().chain(early).collect()
            }
            Self::SelfSigned { folder, host } => {
                let missing = host.as_deref().filter(|host| !validity::is_for(certificate, host));
                missing.map(|host| self_signed::is_not_for(folder, host)).into_iter().collect()
            }
        }
    }
}

/// What the files of the settings are called in messages.
const OF_SETTINGS: [&str; 2] = ["certificate (tls.cert)", "key (tls.key)"];

/// Reads a chain and its key, which messages call by `names`.
///
/// # Errors
/// [`TlsError`] that names the file.
pub(super) fn from_files(
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
        return Err(problem(cert_name, cert, "there is no PEM certificate in it".to_owned()));
    }
    let text = read(key_name, key)?;
    let private = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| problem(key_name, key, why_no_key(&text, &error)))?;
    let pair = |source| TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), source };
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(pair)
}
