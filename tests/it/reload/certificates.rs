//! Certificate renewal with SIGHUP during requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::helpers::{Process, trust_any_certificate};

/// TLS connection and the certificate that the server presented.
struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    shown: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(trust_any_certificate(&[]), name).unwrap();
        let stream = StreamOwned::new(client, TcpStream::connect(address).unwrap());
        let mut connection = Self { stream, shown: Vec::new() };
        connection.ask();
        let shown = connection.stream.conn.peer_certificates().unwrap();
        connection.shown = shown[0].to_vec();
        connection
    }

    /// Sends one request and reads its response to the end.
    fn ask(&mut self) {
        self.stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        while !answer.ends_with(b"{\"status\":\"ok\"}") {
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the connection was closed: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..length]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    }
}

/// Writes a new certificate and its key, as a renewal does, and returns the certificate.
fn renew(folder: &Path) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().to_vec()
}

fn serve(folder: &Path) -> Process {
    let set = ["tls.mode=files", "tls.cert=cert.pem", "tls.key=key.pem"];
    Process::serve(folder, &set.map(|value| ["--set", value]).concat())
}

#[test]
fn renewed_certificate_is_served_without_failed_request() {
    let folder = tempfile::tempdir().unwrap();
    let first = renew(folder.path());
    let process = serve(folder.path());
    let address = process.address.as_str();
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut old = Connection::open(address);
    assert_eq!(old.shown, first);
    std::thread::scope(|scope| {
        for keeps in [true, true, false, false] {
            let (done, calls) = (&done, &calls);
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                while !done.load(Ordering::SeqCst) {
                    if !keeps {
                        connection = Connection::open(address);
                    }
                    connection.ask();
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let newest = (0..5).map(|_| {
            let (renewed, before) = (renew(folder.path()), calls.load(Ordering::SeqCst));
            process.reload();
            assert_eq!(Connection::open(address).shown, renewed);
            // Requests continue under the new certificate before the next one comes.
            while calls.load(Ordering::SeqCst) < before + 20 {
                std::thread::yield_now();
            }
            renewed
        });
        assert_ne!(newest.last().unwrap(), first);
        done.store(true, Ordering::SeqCst);
    });
    old.ask();
}

#[test]
fn invalid_certificate_is_logged_and_old_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let first = renew(folder.path());
    let key = std::fs::read(folder.path().join("key.pem")).unwrap();
    let process = serve(folder.path());
    let second = renew(folder.path());
    let newer = std::fs::read(folder.path().join("key.pem")).unwrap();
    for (bad, named) in [(&key[..], "work together"), (b"nonsense", "key.pem"), (b"", "key.pem")] {
        std::fs::write(folder.path().join("key.pem"), bad).unwrap();
        process.signal("HUP");
        let line = process.wait_for("\"level\":\"ERROR\"");
        assert!(line.contains("the previous version stays") && line.contains(named), "{line}");
        let end = process.wait_for("\"message\":\"SIGHUP: ");
        assert!(end.contains("SIGHUP: reload incomplete"), "{end}");
        assert!(end.contains("\"failed\":\"certificate\""), "{end}");
        assert_eq!(Connection::open(&process.address).shown, first);
    }
    std::fs::write(folder.path().join("key.pem"), newer).unwrap();
    process.reload();
    assert_eq!(Connection::open(&process.address).shown, second);
}

#[test]
fn removed_self_signed_certificate_is_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::serve(folder.path(), &["--set", "tls.mode=self-signed"]);
    let first = Connection::open(&process.address).shown;
    process.reload();
    assert_eq!(Connection::open(&process.address).shown, first);
    std::fs::remove_file(folder.path().join("data/self-signed-cert.pem")).unwrap();
    process.reload();
    assert_ne!(Connection::open(&process.address).shown, first);
}

#[test]
fn reload_without_tls_keeps_server_running() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::serve(folder.path(), &[]);
    process.reload();
    process.reload();
    assert!(TcpStream::connect(&process.address).is_ok());
    assert_eq!(process.terminate(), Some(0));
}
