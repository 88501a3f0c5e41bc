//! Validity period and names of a TLS certificate.
//!
//! rustls does not expose the dates that it parses, but its error contains them if a certificate is
//! verified at a time outside its validity period. It checks the dates before the issuer (RFC 5280
//! §6.1.3), so an empty set of trust anchors suffices.

use std::time::Duration;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use crate::domain::Timestamp;

/// Returns the end of a certificate's validity period; `None` if the certificate cannot be read.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    match at(certificate, u64::MAX) {
        Some(CertificateError::ExpiredContext { not_after, .. }) => Some(timestamp(not_after)),
        _ => None,
    }
}

/// Returns the start of a certificate's validity period; `None` if the certificate cannot be read
/// or has been valid since the Unix epoch.
pub(super) fn not_before(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    match at(certificate, 0) {
        Some(CertificateError::NotValidYetContext { not_before, .. }) => {
            Some(timestamp(not_before))
        }
        _ => None,
    }
}

/// Returns whether the certificate is valid for `host`, a host name or an IP address. Returns
/// `true` if `host` or the certificate cannot be parsed.
pub(super) fn is_for(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(name) = ServerName::try_from(host) else { return true };
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return true };
    verify_server_name(&parsed, &name).is_ok()
}

/// Returns the error from verifying the certificate as if the time were `seconds` after the Unix
/// epoch. Returns `None` if the certificate cannot be parsed, or if the error is not about the
/// certificate.
fn at(certificate: &CertificateDer<'_>, seconds: u64) -> Option<CertificateError> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let result = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        ring::default_provider().signature_verification_algorithms.all,
    );
    match result {
        Err(Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    }
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_millis(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    use super::*;

    /// Returns a certificate for `localhost`, signed by an unknown authority and valid in the years
    /// 2001 to 2050.
    fn certificate() -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = Issuer::new(authority, key);
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2051, 1, 1);
        params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
    }

    #[test]
    fn certificate_dates_are_read_without_trusted_issuer() {
        let certificate = certificate();
        let text = |time: Option<Timestamp>| time.unwrap().to_string();
        assert_eq!(text(not_before(&certificate)), "2001-01-01T00:00:00Z");
        assert_eq!(text(not_after(&certificate)), "2051-01-01T00:00:00Z");
    }

    #[test]
    fn malformed_certificate_has_no_dates_and_matches_any_name() {
        let nonsense = CertificateDer::from(&b"nonsense"[..]);
        assert_eq!((not_before(&nonsense), not_after(&nonsense)), (None, None));
        assert!(is_for(&nonsense, "localhost"));
    }

    #[test]
    fn certificate_matches_its_own_names_only() {
        let certificate = certificate();
        assert!(is_for(&certificate, "localhost"));
        assert!(!is_for(&certificate, "sentinel.example.org") && !is_for(&certificate, "::1"));
    }
}
