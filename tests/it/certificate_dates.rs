//! Certificates that clients will refuse: who runs the server hears of it before they do.

use std::path::Path;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::helpers::{AppBuilder, Process, send, sentinel};
use crate::starting;

const FILES: [&str; 6] =
    ["--set", "tls.mode=files", "--set", "tls.cert=cert.pem", "--set", "tls.key=key.pem"];

/// Writes `cert.pem`, valid from the first day of one year to that of another, and `key.pem`.
fn write(folder: &Path, from: i32, to: i32) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let pem = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("cert.pem"), pem).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

/// What `config check` says of settings that are in order, on standard error.
fn check(folder: &Path, arguments: &[&str]) -> String {
    let output = sentinel(folder).args(["config", "check"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The warnings at the start of a server.
fn warnings(folder: &Path, arguments: &[&str]) -> String {
    let said = starting::lines(folder, arguments);
    said.into_iter().filter(|line| line.contains("\"WARN\"")).collect::<Vec<_>>().join("\n")
}

#[test]
fn one_that_is_over_or_not_valid_yet_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (from, to, said) in [
        (2001, 2002, "cert.pem (tls.cert) has expired: it was valid until 2002-01-01T00:00:00Z"),
        (2901, 2902, "cert.pem (tls.cert) is not valid before 2901-01-01T00:00:00Z"),
    ] {
        write(folder, from, to);
        let checked = check(folder, &FILES);
        assert!(checked.starts_with("sentinel: warning: the certificate in "), "{checked}");
        assert!(checked.contains(said), "{checked}");
        let started = warnings(folder, &FILES);
        assert!(started.contains(said), "{started}");
    }
    write(folder, 2001, 2902);
    assert_eq!(check(folder, &FILES), "");
    assert!(!warnings(folder, &FILES).contains("certificate"));
}

#[test]
fn a_reload_says_until_when_the_new_one_is_valid_and_warns_of_one_that_is_over() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 2001, 2901);
    let process = Process::serve(folder.path(), &FILES);
    write(folder.path(), 2001, 2902);
    process.signal("HUP");
    let line = process.wait_for("\"reloaded\"");
    assert!(line.contains("\"what\":\"certificate\""), "{line}");
    assert!(line.contains("\"not_after\":\"2902-01-01T00:00:00Z\""), "{line}");
    process.wait_for("SIGHUP: all is read again");
    write(folder.path(), 2001, 2002);
    process.signal("HUP");
    let line = process.wait_for("has expired");
    assert!(line.contains("\"WARN\""), "{line}");
    process.wait_for("SIGHUP: all is read again");
}

#[tokio::test]
async fn until_when_it_is_valid_can_be_watched() {
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

/// It was made at the first start, and the name came later.
#[test]
fn a_self_signed_one_without_the_name_of_the_public_url_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let with = |url| ["--set", "tls.mode=self-signed", "--set", url];
    let public = with("server.public_url=https://sentinel.example.org/x");
    assert!(!warnings(folder, &with("server.public_url=https://localhost:5000")).contains("self"));
    assert_eq!(check(folder, &with("server.public_url=https://127.0.0.1")), "");
    assert_eq!(check(folder, &with("server.public_url=https://[::1]:5000")), "");
    for said in [check(folder, &public), warnings(folder, &public)] {
        for part in [
            "is not for sentinel.example.org",
            "server.public_url",
            "remove data/self-signed-cert.pem and data/self-signed-key.pem",
            "SIGHUP",
        ] {
            assert!(said.contains(part), "{said}");
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
fn a_key_with_a_passphrase_is_told_from_one_that_is_damaged() {
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
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(&format!("cannot read the TLS key (tls.key) in {key}: ")), "{said}");
        assert_eq!(said.contains("it is encrypted"), encrypted, "{said}");
    }
}
