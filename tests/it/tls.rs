//! TLS, tested with `curl` and `openssl`.

use std::path::Path;
use std::process::Command;

use crate::helpers::{Process, sentinel};

fn run(folder: &Path, program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Requests `/healthz` over TLS, trusting only `cert`; returns HTTP version and status.
fn ask(folder: &Path, process: &Process, cert: &str, more: &[&str]) -> (bool, String) {
    let port = process.address.rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}/healthz");
    let mut arguments =
        vec!["-sS", "--cacert", cert, "-o", "/dev/null", "-w", "%{http_version} %{http_code}"];
    arguments.extend_from_slice(more);
    arguments.push(&url);
    run(folder, "curl", &arguments)
}

fn generate(folder: &Path, name: &str, algorithm: &[&str], convert: Option<&[&str]>) {
    let (key, cert) = (format!("{name}-key.pem"), format!("{name}-cert.pem"));
    let mut arguments = vec!["req", "-x509", "-nodes", "-subj", "/CN=test", "-days", "30"];
    arguments.extend(["-addext", "subjectAltName=DNS:localhost", "-keyout", &key, "-out", &cert]);
    arguments.extend_from_slice(algorithm);
    let (good, text) = run(folder, "openssl", &arguments);
    assert!(good, "{text}");
    if let Some(convert) = convert {
        let mut arguments = convert.to_vec();
        arguments.extend(["-in", &key, "-out", &key]);
        let (good, text) = run(folder, "openssl", &arguments);
        assert!(good, "{text}");
    }
}

fn serve(folder: &Path, name: &str) -> Process {
    let cert = format!("tls.cert={name}-cert.pem");
    let key = format!("tls.key={name}-key.pem");
    Process::serve(folder, &["--set", "tls.mode=files", "--set", &cert, "--set", &key])
}

#[test]
fn rsa_and_ec_keys_in_every_pem_format_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rsa = ["-newkey", "rsa:2048"];
    let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    generate(folder, "rsa-pkcs8", &rsa, None);
    generate(folder, "rsa-pkcs1", &rsa, Some(&["rsa", "-traditional"]));
    generate(folder, "ec-pkcs8", &ec, None);
    generate(folder, "ec-sec1", &ec, Some(&["ec"]));
    for (name, marker) in [
        ("rsa-pkcs8", "BEGIN PRIVATE KEY"),
        ("rsa-pkcs1", "BEGIN RSA PRIVATE KEY"),
        ("ec-pkcs8", "BEGIN PRIVATE KEY"),
        ("ec-sec1", "BEGIN EC PRIVATE KEY"),
    ] {
        let key = std::fs::read_to_string(folder.join(format!("{name}-key.pem"))).unwrap();
        assert!(key.contains(marker), "{name} is not what it should be");
        let process = serve(folder, name);
        let cert = format!("{name}-cert.pem");
        assert_eq!(ask(folder, &process, &cert, &[]), (true, "2 200".to_owned()), "{name}");
    }
}

#[test]
fn only_tls_1_2_and_1_3_and_http_1_1_and_2_are_supported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let process = Process::serve(folder, &["--set", "tls.mode=self-signed"]);
    let cert = "data/self-signed-cert.pem";
    for (option, expected) in [
        (&["--http1.1"][..], "1.1 200"),
        (&["--http2"], "2 200"),
        (&["--tls-max", "1.2"], "2 200"),
        (&["--tlsv1.3"], "2 200"),
    ] {
        assert_eq!(ask(folder, &process, cert, option), (true, expected.to_owned()), "{option:?}");
    }
    let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    let (done, message) = ask(folder, &process, cert, &old);
    // Only the server sends an alert; a failure in curl itself would not test the server.
    assert!(!done && message.contains("alert"), "{message}");
}

#[test]
fn self_signed_certificate_is_kept_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let read = || std::fs::read(folder.path().join("data/self-signed-cert.pem")).unwrap();
    let mut process = Process::serve(folder.path(), &["--set", "tls.mode=self-signed"]);
    assert_eq!(process.terminate(), Some(0));
    let first = read();
    let _process = Process::serve(folder.path(), &["--set", "tls.mode=self-signed"]);
    assert_eq!(read(), first);
}

#[test]
fn invalid_certificate_or_key_is_reported_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "one", &["-newkey", "rsa:2048"], None);
    generate(folder, "two", &["-newkey", "rsa:2048"], None);
    std::fs::write(folder.join("empty.pem"), "").unwrap();
    for (cert, key, named) in [
        ("missing.pem", "one-key.pem", "missing.pem"),
        ("empty.pem", "one-key.pem", "empty.pem"),
        ("one-cert.pem", "missing.pem", "missing.pem"),
        ("one-cert.pem", "empty.pem", "empty.pem"),
        ("one-cert.pem", "one-cert.pem", "one-cert.pem"),
        ("one-cert.pem", "two-key.pem", "two-key.pem"),
    ] {
        let (cert, key) = (format!("tls.cert={cert}"), format!("tls.key={key}"));
        let mut command = sentinel(folder);
        command.args(["serve", "--bind", "127.0.0.1:0", "--set", "tls.mode=files"]);
        let output = command.args(["--set", &cert, "--set", &key]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}");
        // The first start also reports that it created the store.
        let mut lines = text.lines().filter(|line| !line.contains("created the store"));
        assert!(lines.next().is_some_and(|line| line.contains(named)), "{text}");
        assert_eq!(lines.next(), None, "{text}");
    }
}

#[test]
fn self_signed_key_file_gets_mode_0600_even_if_it_existed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("data/self-signed-key.pem");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(&key, "").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _process = Process::serve(folder.path(), &["--set", "tls.mode=self-signed"]);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Returns the value of `Strict-Transport-Security` of a response with this path.
fn hsts(folder: &Path, process: &Process, cert: &str, path: &str) -> Option<String> {
    let port = process.address.rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}{path}");
    let (good, head) =
        run(folder, "curl", &["-sS", "--cacert", cert, "-o", "/dev/null", "-D", "-", &url]);
    assert!(good, "{head}");
    let line = head.lines().find_map(|line| line.strip_prefix("strict-transport-security: "));
    line.map(|value| value.trim_end().to_owned())
}

/// RFC 6797 §7.2 forbids the field over plain HTTP.
#[test]
fn hsts_is_sent_over_tls_with_certificate_of_operator_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "one", &["-newkey", "rsa:2048"], None);
    let process = serve(folder, "one");
    for path in ["/healthz", "/oauth/errors", "/oauth/verify", "/oauth/token", "/no/such/path"] {
        let sent = hsts(folder, &process, "one-cert.pem", path);
        assert_eq!(sent.as_deref(), Some("max-age=31536000"), "{path}");
    }
    let off = ["--set", "tls.mode=files", "--set", "tls.cert=one-cert.pem"];
    let more = ["--set", "tls.key=one-key.pem", "--set", "tls.hsts_max_age=0"];
    let process = Process::serve(folder, &[off, more].concat());
    assert_eq!(hsts(folder, &process, "one-cert.pem", "/healthz").as_deref(), Some("max-age=0"));
    let process = Process::serve(folder, &["--set", "tls.mode=self-signed"]);
    assert_eq!(hsts(folder, &process, "data/self-signed-cert.pem", "/healthz"), None);
    let process = Process::serve(folder, &[]);
    let url = format!("http://{}/healthz", process.address);
    let (_, head) = run(folder, "curl", &["-sS", "-o", "/dev/null", "-D", "-", &url]);
    assert!(head.contains("200") && !head.contains("strict-transport-security"), "{head}");
}

/// Returns the message with which `config check` refuses a certificate and key.
#[track_caller]
fn refused(folder: &Path, cert: &str, key: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    // There is no warning about a key that others can read.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = sentinel(folder);
    command.args(["config", "check", "--set", "tls.mode=files"]);
    command.arg("--set").arg(format!("tls.cert={cert}")).arg("--set").arg(format!("tls.key={key}"));
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.lines().count() == 1 && !text.contains("[45, 45"), "{text}");
    text
}

#[test]
fn chain_in_wrong_order_is_reported_with_place_of_right_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rsa = ["-newkey", "rsa:2048"];
    for name in ["own", "ca", "root", "other"] {
        generate(folder, name, &rsa, None);
    }
    let read =
        |name: &str| std::fs::read_to_string(folder.join(format!("{name}-cert.pem"))).unwrap();
    std::fs::write(folder.join("chain.pem"), read("root") + &read("own") + &read("ca")).unwrap();
    let text = refused(folder, "chain.pem", "own-key.pem");
    assert!(text.contains("wrong order") && text.contains("certificate 2 of 3"), "{text}");
    let text = refused(folder, "chain.pem", "other-key.pem");
    assert!(text.contains("the key belongs to another certificate"), "{text}");
}

#[test]
fn unsupported_key_is_reported_with_supported_ones() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "p521", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"], None);
    generate(folder, "k1", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"], None);
    generate(folder, "small", &["-newkey", "rsa:1024"], None);
    for name in ["p521", "k1", "small"] {
        let text = refused(folder, &format!("{name}-cert.pem"), &format!("{name}-key.pem"));
        for part in ["TLS key", "is not supported", "2048", "P-256", "P-384", "Ed25519"] {
            assert!(text.contains(part), "{name}: {text}");
        }
    }
    generate(folder, "ed", &["-newkey", "ed25519"], None);
    let _process = serve(folder, "ed");
}

#[test]
fn damaged_pem_is_reported_with_cause() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "one", &["-newkey", "rsa:2048"], None);
    for kind in ["cert", "key"] {
        let pem = std::fs::read_to_string(folder.join(format!("one-{kind}.pem"))).unwrap();
        let lines: Vec<&str> = pem.lines().collect();
        for (damaged, cause) in [
            (pem.replace('\n', " "), "must be lines of their own"),
            (pem.replace('\n', "\\n"), "must be lines of their own"),
            (pem.replace('\n', ""), "must be lines of their own"),
            (lines[..3].join("\n"), "has no END line"),
            (pem.replacen(lines[1], "!!!", 1), "is not base64"),
        ] {
            std::fs::write(folder.join("damaged.pem"), damaged).unwrap();
            let (cert, key) = match kind {
                "cert" => ("damaged.pem", "one-key.pem"),
                _ => ("one-cert.pem", "damaged.pem"),
            };
            let text = refused(folder, cert, key);
            assert!(text.contains(cause) && text.contains("damaged.pem"), "{kind}: {text}");
        }
    }
}
