//! Tests of the warnings about certificates that clients will refuse.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::helpers::{AppBuilder, Process, send, sentinel};
use crate::startup;

const FILES: [&str; 6] =
    ["--set", "tls.mode=files", "--set", "tls.cert=cert.pem", "--set", "tls.key=key.pem"];

/// Writes `cert.pem`, valid from 1 January of year `from` until 1 January of year `to`, and
/// `key.pem`.
fn write(folder: &Path, from: i32, to: i32) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let pem = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("cert.pem"), pem).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    // There is no warning about a key that others can read.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Returns the standard error of a `config check` that succeeds.
fn check(folder: &Path, arguments: &[&str]) -> String {
    let output = sentinel(folder).args(["config", "check"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Returns the warnings that a server logs at its start.
fn warnings(folder: &Path, arguments: &[&str]) -> String {
    let message = startup::lines(folder, arguments);
    message.into_iter().filter(|line| line.contains("\"WARN\"")).collect::<Vec<_>>().join("\n")
}

#[test]
fn expired_or_not_yet_valid_certificate_causes_warning() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (from, to, message) in [
        (2001, 2002, "cert.pem (tls.cert) has expired: it was valid until 2002-01-01T00:00:00Z"),
        (2901, 2902, "cert.pem (tls.cert) is not valid before 2901-01-01T00:00:00Z"),
    ] {
        write(folder, from, to);
        let checked = check(folder, &FILES);
        assert!(checked.starts_with("sentinel: warning: the certificate in "), "{checked}");
        assert!(checked.contains(message), "{checked}");
        let started = warnings(folder, &FILES);
        assert!(started.contains(message), "{started}");
    }
    write(folder, 2001, 2902);
    assert_eq!(check(folder, &FILES), "");
    assert!(!warnings(folder, &FILES).contains("certificate"));
}

#[test]
fn reload_logs_not_after_and_warns_about_expired_certificate() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 2001, 2901);
    let process = Process::serve(folder.path(), &FILES);
    write(folder.path(), 2001, 2902);
    process.signal("HUP");
    let line = process.wait_for("\"reloaded\"");
    assert!(line.contains("\"what\":\"certificate\""), "{line}");
    assert!(line.contains("\"not_after\":\"2902-01-01T00:00:00Z\""), "{line}");
    process.wait_for("SIGHUP: reload complete");
    write(folder.path(), 2001, 2002);
    process.signal("HUP");
    let line = process.wait_for("has expired");
    assert!(line.contains("\"WARN\""), "{line}");
    process.wait_for("SIGHUP: reload complete");
}

#[tokio::test]
async fn certificate_expiry_is_exported_as_metric() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 2001, 2150);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let app = AppBuilder::default().set("metrics.bind", "127.0.0.1:0").set("tls.mode", "files");
    let app = app.set("tls.cert", &path("cert.pem")).set("tls.key", &path("key.pem"));
    let app = app.spawn().await;
    let text = send(app.http.get(app.metrics.as_ref().unwrap())).await.text;
    let sample = "sentinel_tls_certificate_not_after_timestamp_seconds 5680281600";
    assert!(text.lines().any(|line| line == sample), "{text}");
}

/// Covers a certificate that was generated before the public URL was set.
#[test]
fn self_signed_certificate_without_public_url_host_causes_warning() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let with = |url| ["--set", "tls.mode=self-signed", "--set", url];
    let public = with("server.public_url=https://sentinel.example.org/x");
    assert!(!warnings(folder, &with("server.public_url=https://localhost:5000")).contains("self"));
    assert_eq!(check(folder, &with("server.public_url=https://127.0.0.1")), "");
    assert_eq!(check(folder, &with("server.public_url=https://[::1]:5000")), "");
    for message in [check(folder, &public), warnings(folder, &public)] {
        for part in [
            "is not valid for sentinel.example.org",
            "server.public_url",
            "remove data/self-signed-cert.pem and data/self-signed-key.pem",
            "SIGHUP",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
    for name in ["cert", "key"] {
        std::fs::remove_file(folder.join(format!("data/self-signed-{name}.pem"))).unwrap();
    }
    assert!(!warnings(folder, &public).contains("self-signed"));
    assert_eq!(check(folder, &public), "");
    std::fs::remove_dir_all(folder.join("data")).unwrap();
    let other = with("server.public_url=https://[2001:db8::1]");
    assert!(!warnings(folder, &other).contains("self-signed"));
    assert_eq!(check(folder, &other), "");
}

#[test]
fn encrypted_tls_key_is_distinguished_from_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, 2001, 2902);
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    openssl(&["pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:x", "-out", "pkcs8.pem"]);
    openssl(&["ec", "-in", "key.pem", "-aes256", "-passout", "pass:x", "-out", "sec1.pem"]);
    std::fs::write(folder.join("damaged.pem"), "-----BEGIN PRIVATE KEY-----\n-\n").unwrap();
    for (key, encrypted) in [("pkcs8.pem", true), ("sec1.pem", true), ("damaged.pem", false)] {
        let mut command = sentinel(folder);
        command.args(["config", "check"]).args(&FILES[..4]);
        let output = command.args(["--set", &format!("tls.key={key}")]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{message}");
        assert!(
            message.contains(&format!("cannot read the TLS key (tls.key) in {key}: ")),
            "{message}"
        );
        assert_eq!(message.contains("it is encrypted"), encrypted, "{message}");
    }
}
