//! `[tls]`: TLS on the listeners, and its certificate.

use std::path::PathBuf;
use std::time::Duration;

use super::keyword::Keyword;
use super::reader::Reader;

/// Settings of TLS on the TCP listeners.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Source of the TLS certificate, or no TLS.
    pub mode: TlsMode,
    /// PEM file of the TLS certificate chain. Always set with [`TlsMode::Files`].
    pub cert: Option<PathBuf>,
    /// PEM file of the private key of the certificate. Always set with [`TlsMode::Files`].
    pub key: Option<PathBuf>,
    /// `max-age` of HTTP Strict Transport Security (RFC 6797 §6.1.1), which browsers get with
    /// [`TlsMode::Files`].
    pub hsts_max_age: Duration,
}

/// Source of the TLS certificate of the listeners, or no TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS on the listeners.
    #[default]
    Off,
    /// Self-signed certificate, created at the first start and kept in the data folder, so that
    /// clients need not trust a new one at each start.
    SelfSigned,
    /// Certificate and key from files of the operator.
    Files,
}

impl Keyword for TlsMode {
    const KEYWORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("self-signed", Self::SelfSigned), ("files", Self::Files)];
}

impl TlsSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let tls = Self {
            mode: reader.keyword("tls.mode"),
            cert: reader.path("tls.cert"),
            key: reader.path("tls.key"),
            hsts_max_age: reader.duration("tls.hsts_max_age", Duration::ZERO),
        };
        if tls.mode == TlsMode::Files {
            for (key, path) in [("tls.cert", &tls.cert), ("tls.key", &tls.key)] {
                if path.is_none() {
                    reader.reject(format!(
                        "tls.mode is \"files\", which needs {key}, the path of a PEM file"
                    ));
                }
            }
        }
        tls
    }
}
