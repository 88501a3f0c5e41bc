//! Self-signed certificate: makes it, stores it in the data folder so that clients have to trust it
//! only once, and renews it before it expires.
//!
//! Systems of Apple refuse a TLS server certificate that is valid for more than 825 days, has no
//! subjectAltName, or is not for serverAuth (RFC 5280 §4.2.1.12), even if a user trusts it
//! manually.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd,
};
use rustls::sign::CertifiedKey;

use super::certificate_dates;
use super::tls::{TlsError, read_certificate, write_private};
use crate::domain::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Period by which a self-signed certificate is valid before its creation, since clocks differ.
const BACKDATED: Duration = DAY;
/// Period for which a self-signed certificate is valid after its creation.
const VALIDITY: Duration = Duration::from_secs(820 * 24 * 3600);
/// Remaining period of validity below which a self-signed certificate is renewed.
const RENEW_BELOW: Duration = Duration::from_secs(30 * 24 * 3600);
/// Host names and IP addresses of this machine, for which every self-signed certificate is made.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Names of the certificate file and the key file in error messages.
const NAMES: [&str; 2] = ["certificate", "key"];
/// Maximum period of validity of a TLS server certificate that systems of Apple accept.
const MAX_VALIDITY: Duration = Duration::from_secs(825 * 24 * 3600);

/// Returns the path of the self-signed certificate's file in `folder`.
pub fn path(folder: &Path) -> PathBuf {
    folder.join("self-signed-cert.pem")
}

fn key_path(folder: &Path) -> PathBuf {
    folder.join("self-signed-key.pem")
}

/// Returns the self-signed certificate in `folder`; `None` if it is missing or due for renewal.
pub(super) fn stored(folder: &Path, now: Timestamp) -> Result<Option<CertifiedKey>, TlsError> {
    let (cert, key) = (path(folder), key_path(folder));
    if !cert.exists() || !key.exists() {
        return Ok(None);
    }
    let kept = read_certificate(&cert, &key, NAMES)?;
    Ok((!has_expired(&kept, now.plus(RENEW_BELOW))).then_some(kept))
}

/// Returns a warning, with the remedy, that the certificate in `folder` is not valid for `host`.
pub(super) fn wrong_host_warning(folder: &Path, host: &str) -> String {
    let (cert, key) = (path(folder), key_path(folder));
    format!(
        "the self-signed certificate is not valid for {host}, the host of server.public_url, because it is older than \
         that setting: remove {} and {}, then restart or send SIGHUP, and trust the new certificate",
        cert.display(),
        key.display()
    )
}

/// Returns the self-signed certificate in `folder`. Makes a new certificate for this machine and
/// `host` if the certificate is missing or about to expire.
pub(super) fn read(
    folder: &Path,
    host: Option<&str>,
    now: Timestamp,
) -> Result<CertifiedKey, TlsError> {
    let (cert, key) = (path(folder), key_path(folder));
    let replace = || {
        make(&cert, &key, &names(host), now)
            .map_err(|reason| TlsError::SelfSigned { folder: folder.to_owned(), reason })?;
        read_certificate(&cert, &key, NAMES)
    };
    if !cert.exists() || !key.exists() {
        return replace();
    }
    let kept = read_certificate(&cert, &key, NAMES)?;
    if has_expired(&kept, now.plus(RENEW_BELOW)) {
        let made = replace()?;
        tracing::warn!(
            certificate = %cert.display(),
            "the self-signed certificate was about to expire and was replaced; clients must trust the new one"
        );
        return Ok(made);
    }
    // Earlier versions made certificates that are valid for longer. Clients may trust this one, so
    // it stays until the operator removes it.
    if !has_expired(&kept, now.plus(MAX_VALIDITY)) {
        tracing::info!(
            certificate = %cert.display(),
            "the self-signed certificate is valid for longer than systems of Apple accept; to get a new \
             one, remove it and send SIGHUP"
        );
    }
    Ok(kept)
}

/// Returns the host names and IP addresses for which a certificate is made: `host` and local ones.
fn names(host: Option<&str>) -> Vec<String> {
    let mut names = LOCAL.map(str::to_owned).to_vec();
    names.extend(host.filter(|host| !LOCAL.contains(host)).map(str::to_owned));
    names
}

/// Returns whether the certificate has expired at `moment`. A certificate whose dates cannot be
/// read counts as valid, since an operator must have put it there.
fn has_expired(kept: &CertifiedKey, moment: Timestamp) -> bool {
    kept.cert.first().and_then(certificate_dates::not_after).is_some_and(|end| end < moment)
}

fn make(cert: &Path, key: &Path, names: &[String], now: Timestamp) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let private = KeyPair::generate().map_err(|error| text(&error))?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(|error| text(&error))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Sentinel development certificate");
    // The certificate is not a certificate authority: a client that trusts it trusts only this
    // server.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = Duration::from_secs(u64::try_from(now.as_seconds()).unwrap_or(0));
    params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(BACKDATED);
    params.not_after = date_time_ymd(1970, 1, 1) + now + VALIDITY;
    let public = params.self_signed(&private).map_err(|error| text(&error))?;
    // Removes the old certificate before the key is replaced, so that a certificate is never stored
    // beside the key of another one. Without a certificate, the next start makes both.
    match fs::remove_file(cert) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(text(&error)),
        _ => {}
    }
    write_private(key, &private.serialize_pem()).map_err(|error| text(&error))?;
    fs::write(cert, public.pem()).map_err(|error| text(&error))
}
