//! TLS certificate of the listeners, from files or self-signed ([`super::self_signed`]). It can be
//! reloaded while connections are open; each handshake uses the newest one. TLS 1.2 and 1.3 only.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::reload::{Reload, ReloadError};
use super::tls::{TlsError, read_certificate};
use super::{certificate_dates, self_signed};
use crate::domain::{Clock, Timestamp};

/// TLS certificate chain and private key of the listeners, with the source for reloading them.
pub struct Certificate {
    source: CertificateSource,
    clock: Arc<dyn Clock>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Source of the listeners' TLS certificate: files of the operator, or a self-signed certificate.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// Certificate in PEM files of the operator, with a private key in PKCS#1, PKCS#8 or SEC1.
    Files {
        /// Path of the PEM file with the certificate chain.
        cert: PathBuf,
        /// Path of the PEM file with the private key.
        key: PathBuf,
        /// Host of the URL that clients use, for which the certificate should be valid.
        host: Option<String>,
    },
    /// Self-signed certificate that is stored in `folder`, so that clients have to trust it only
    /// once. The certificate is made if there is none, and renewed before it expires.
    SelfSigned {
        /// Folder that stores the self-signed certificate and its private key.
        folder: PathBuf,
        /// Host of the server's public URL, for which the self-signed certificate is made in
        /// addition to the names of this machine; `None` without a public URL.
        host: Option<String>,
    },
}

impl Certificate {
    /// Reads the TLS certificate. `clock` determines whether a self-signed one is about to expire.
    ///
    /// # Errors
    /// Returns a [`TlsError`] that names the unusable folder or file.
    pub fn load(source: CertificateSource, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(source.read(clock.now())?));
        let certificate = Self { source, clock, current };
        certificate.warn();
        Ok(certificate)
    }

    /// Logs the reasons why clients will refuse the TLS certificate in use, such as its expiry.
    fn warn(&self) {
        for warning in self.source.warnings(&self.current(), self.clock.now()) {
            tracing::warn!("{warning}");
        }
    }

    /// Returns the time when the certificate in use expires; `None` if this date cannot be read.
    pub fn not_after(&self) -> Option<Timestamp> {
        certificate_dates::not_after(self.current().cert.first()?)
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&*self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the TLS configuration of a listener: each handshake uses the newest certificate.
    pub fn server_config(self: &Arc<Self>) -> ServerConfig {
        #[expect(clippy::expect_used, reason = "ring supports both versions")]
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl Reload for Certificate {
    fn name(&self) -> &'static str {
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

impl CertificateSource {
    /// Checks that the TLS certificate from this source can be used, and returns the reasons why
    /// clients will refuse the certificate, such as its expiry. Creates no files.
    ///
    /// # Errors
    /// Returns a [`TlsError`] that names the unusable file.
    pub fn check(&self, now: Timestamp) -> Result<Vec<String>, TlsError> {
        let certificate = match self {
            Self::Files { cert, key, .. } => Some(read_certificate(cert, key, SETTING_NAMES)?),
            Self::SelfSigned { folder, .. } => self_signed::stored(folder, now)?,
        };
        Ok(certificate.map(|certificate| self.warnings(&certificate, now)).unwrap_or_default())
    }

    fn read(&self, now: Timestamp) -> Result<CertifiedKey, TlsError> {
        match self {
            Self::Files { cert, key, .. } => read_certificate(cert, key, SETTING_NAMES),
            Self::SelfSigned { folder, host } => self_signed::read(folder, host.as_deref(), now),
        }
    }

    /// Returns the reasons why clients will refuse the certificate `used`, such as its expiry.
    fn warnings(&self, used: &CertifiedKey, now: Timestamp) -> Vec<String> {
        let Some(certificate) = used.cert.first() else { return Vec::new() };
        match self {
            Self::Files { cert, host, .. } => {
                let path = cert.display();
                let over = certificate_dates::not_after(certificate).filter(|end| *end < now).map(|end| {
                    format!(
                        "the certificate in {path} (tls.cert) has expired: it was valid until {end}"
                    )
                });
                let early = certificate_dates::not_before(certificate).filter(|start| *start > now);
                let early = early.map(|start| {
                    format!("the certificate in {path} (tls.cert) is not valid before {start}")
                });
                let other =
                    host.as_deref().filter(|host| !certificate_dates::is_for(certificate, host));
                let other = other.map(|host| {
                    format!(
                        "the certificate in {path} (tls.cert) is not valid for {host}, the host of \
                         server.public_url, so clients will refuse it"
                    )
                });
                over.into_iter().chain(early).chain(other).collect()
            }
            Self::SelfSigned { folder, host } => {
                let missing =
                    host.as_deref().filter(|host| !certificate_dates::is_for(certificate, host));
                missing
                    .map(|host| self_signed::wrong_host_warning(folder, host))
                    .into_iter()
                    .collect()
            }
        }
    }
}

/// Names of the operator's certificate file and key file in error messages.
const SETTING_NAMES: [&str; 2] = ["certificate (tls.cert)", "key (tls.key)"];
