//! The self-signed certificate: made, kept in the data folder so that it can be trusted once, and made anew
//! before it ends.
//!
//! Systems of Apple refuse a TLS server's certificate that is valid for more than 825 days, has no
//! subjectAltName, or is not for serverAuth (RFC 5280 §4.2.1.12), even where it was trusted by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd,
};
use rustls::sign::CertifiedKey;

use super::certificate::from_files;
use super::tls::{TlsError, write_private};
use super::validity;
use crate::domain::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Clocks differ: it is valid somewhat before it is made.
const BEFORE: Duration = DAY;
/// How long it is valid from when it is made.
const AFTER: Duration = Duration::from_secs(820 * 24 * 3600);
/// One that has less than this left is made anew.
const LEAST_LEFT: Duration = Duration::from_secs(30 * 24 * 3600);
/// This machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// What its files are called in messages.
const NAMES: [&str; 2] = ["certificate", "key"];
/// What Apple's systems take at most.
const MOST: Duration = Duration::from_secs(825 * 24 * 3600);

/// The file of the self-signed certificate in a folder, for clients to trust.
pub fn path(folder: &Path) -> PathBuf {
    folder.join("self-signed-cert.pem")
}

fn key_path(folder: &Path) -> PathBuf {
    folder.join("self-signed-key.pem")
}

/// The one that is kept in `folder`, unless there is none, or a start would make it anew.
pub(super) fn kept(folder: &Path, now: Timestamp) -> Result<Option<CertifiedKey>, TlsError> {
    let (cert, key) = (path(folder), key_path(folder));
    if !cert.exists() || !key.exists() {
        return Ok(None);
    }
    let kept = from_files(&cert, &key, NAMES)?;
    Ok((!is_over(&kept, now.plus(LEAST_LEFT))).then_some(kept))
}

/// Says that the one in `folder` is not for `host`, and what can be done.
pub(super) fn is_not_for(folder: &Path, host: &str) -> String {
    let (cert, key) = (path(folder), key_path(folder));
    format!(
        "the self-signed certificate is not for {host}, as server.public_url has it, since it was made before that \
         was set: remove {} and {}, then restart or send SIGHUP, and trust the new one",
        cert.display(),
        key.display()
    )
}

/// The one that is kept in `folder`, or a new one for this machine and `host` if there is none that will do.
pub(super) fn read(
    folder: &Path,
    host: Option<&str>,
    now: Timestamp,
) -> Result<CertifiedKey, TlsError> {
    let (cert, key) = (path(folder), key_path(folder));
    let anew = || {
        make(&cert, &key, &names(host), now)
            .map_err(|reason| TlsError::SelfSigned { folder: folder.to_owned(), reason })?;
        from_files(&cert, &key, NAMES)
    };
    if !cert.exists() || !key.exists() {
        return anew();
    }
    let kept = from_files(&cert, &key, NAMES)?;
    if is_over(&kept, now.plus(LEAST_LEFT)) {
        let made = anew()?;
        tracing::warn!(
            certificate = %cert.display(),
            "the self-signed certificate was about to end, and a new one is there to be trusted"
        );
        return Ok(made);
    }
    // Earlier versions made it for ever. Somebody has trusted it, so it stays until it is removed.
    if !is_over(&kept, now.plus(MOST)) {
        tracing::info!(
            certificate = %cert.display(),
            "the self-signed certificate is valid for longer than systems of Apple take; remove it and \
             reload to get a new one"
        );
    }
    Ok(kept)
}

/// What one is made out to.
fn names(host: Option<&str>) -> Vec<String> {
    let mut names = LOCAL.map(str::to_owned).to_vec();
    names.extend(host.filter(|host| !LOCAL.contains(host)).map(str::to_owned));
    names
}

/// Whether it is no longer valid at `moment`. One that cannot be read is taken for good: it was put there on
/// purpose.
fn is_over(kept: &CertifiedKey, moment: Timestamp) -> bool {
    kept.cert.first().and_then(validity::not_after).is_some_and(|end| end < moment)
}

fn make(cert: &Path, key: &Path, names: &[String], now: Timestamp) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let private = KeyPair::generate().map_err(|error| text(&error))?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(|error| text(&error))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Sentinel development certificate");
    // Not a certificate authority: who trusts it trusts this server, and nothing else.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = Duration::from_secs(u64::try_from(now.as_seconds()).unwrap_or(0));
    params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(BEFORE);
    params.not_after = date_time_ymd(1970, 1, 1) + now + AFTER;
    let public = params.self_signed(&private).map_err(|error| text(&error))?;
    // Never a certificate beside another one's key: without a certificate the next start makes both.
    match fs::remove_file(cert) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(text(&error)),
        _ => {}
    }
    write_private(key, &private.serialize_pem()).map_err(|error| text(&error))?;
    fs::write(cert, public.pem()).map_err(|error| text(&error))
}
