//! Lifetime and renewal of the self-signed certificate, on a manual clock.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sentinel::domain::{Clock, ManualClock, Timestamp};
use sentinel::web::certificate::{Certificate, CertificateSource};
use sentinel::web::reload::Reload;
use sentinel::web::self_signed;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Clock set to 2026-01-01.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_767_225_600_000)))
}

fn load(folder: &Path, clock: &Arc<ManualClock>) -> Certificate {
    let source = CertificateSource::SelfSigned { folder: folder.to_owned(), host: None };
    Certificate::load(source, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

fn kept(folder: &Path) -> String {
    std::fs::read_to_string(self_signed::path(folder)).unwrap()
}

/// Output of `openssl x509` for the certificate.
fn described(folder: &Path) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-dates", "-dateopt", "iso_8601"]);
    command.args(["-ext", "subjectAltName,extendedKeyUsage", "-in"]);
    let output = command.arg(self_signed::path(folder)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Apple systems accept certificates for server authentication with subject alternative names and
/// at most 825 days of validity.
#[test]
fn self_signed_certificate_meets_the_requirements_of_apple() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), &clock());
    let text = described(folder.path());
    for part in [
        "notBefore=2025-12-31 00:00:00Z",
        "notAfter=2028-03-31 00:00:00Z",
        "TLS Web Server Authentication",
        "DNS:localhost, IP Address:127.0.0.1",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn self_signed_certificate_is_renewed_a_month_before_expiry() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    load(folder.path(), &clock);
    let first = kept(folder.path());
    clock.advance(789 * DAY);
    let served = load(folder.path(), &clock);
    assert_eq!(kept(folder.path()), first);

    clock.advance(2 * DAY);
    served.reload().unwrap();
    let second = kept(folder.path());
    assert_ne!(second, first);
    assert!(
        described(folder.path()).contains("notAfter=2030-05-31"),
        "{}",
        described(folder.path())
    );
    let key = std::fs::metadata(folder.path().join("self-signed-key.pem")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);

    clock.advance(2000 * DAY);
    load(folder.path(), &clock);
    assert_ne!(kept(folder.path()), second);
}

/// Earlier versions made certificates valid from 1975 to 4096; replacing one would break clients
/// that trust it.
#[test]
fn self_signed_certificate_without_expiry_is_kept() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(self_signed::path(folder.path()), made.cert.pem()).unwrap();
    let key = folder.path().join("self-signed-key.pem");
    std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
    load(folder.path(), &clock);
    assert_eq!(kept(folder.path()), made.cert.pem());
}
