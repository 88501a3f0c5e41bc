//! `[tls]`: whether listeners speak TLS, and with which certificate.

use std::path::PathBuf;

use super::choice::Choice;
use super::reader::Reader;

/// TLS on the TCP listeners.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Where the certificate comes from.
    pub mode: TlsMode,
    /// The certificate chain, PEM. Always set with [`TlsMode::Files`].
    pub cert: Option<PathBuf>,
    /// Its private key, PEM. Always set with [`TlsMode::Files`].
    pub key: Option<PathBuf>,
}

/// Where the certificate comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS.
    #[default]
    Off,
    /// Made at the first start, and kept in the data folder so that it can be trusted once.
    SelfSigned,
    /// The operator's own.
    Files,
}

impl Choice for TlsMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("self-signed", Self::SelfSigned), ("files", Self::Files)];
}

impl Tls {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let tls = Self {
            mode: reader.choice("tls.mode"),
            cert: reader.path("tls.cert"),
            key: reader.path("tls.key"),
        };
        if tls.mode == TlsMode::Files {
            for (key, path) in [("tls.cert", &tls.cert), ("tls.key", &tls.key)] {
                if path.is_none() {
                    reader.refuse(format!(
                        "tls.mode is \"files\", which needs {key}, the path of a PEM file"
                    ));
                }
            }
        }
        tls
    }
}
