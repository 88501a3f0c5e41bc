//! Tests that malformed input from unauthenticated callers causes no warning or error in the log.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::helpers::{Process, trust_any_certificate};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// Returns malformed HTTP/1.1 requests, for plain connections and for TLS.
fn requests() -> Vec<Vec<u8>> {
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    [
        &b"\x01\x02\x03 garbage\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x07 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: \x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
          Content-Length: 50\r\n\r\ngrant_type=",
        PREFACE,
        long.as_bytes(),
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

/// Returns HTTP/2 prefaces with malformed frames: out of order, too long, of unknown streams or
/// truncated.
fn frames() -> Vec<Vec<u8>> {
    let ping_never_asked_for = b"\0\0\x08\x06\x01\0\0\0\0abcdefgh";
    let data_on_no_stream = b"\0\0\x01\0\0\0\0\0\x05x";
    let headers_of_garbage = b"\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff";
    let reset = |stream: u32| {
        let id = stream.to_be_bytes();
        let open = [&b"\0\0\x06\x01\x05"[..], &id, b"\x82\x87\x84\x41\x01x"].concat();
        [&open[..], b"\0\0\x04\x03\0", &id, b"\0\0\0\x08"].concat()
    };
    let resets_without_end: Vec<u8> = (0..300).flat_map(|n| reset(2 * n + 1)).collect();
    let too_long = b"\xff\xff\xff\0\0\0\0\0\x01";
    [
        [PREFACE, b"garbage instead of settings"].concat(),
        [PREFACE, SETTINGS, ping_never_asked_for, too_long].concat(),
        [PREFACE, SETTINGS, &resets_without_end].concat(),
        [PREFACE, SETTINGS, data_on_no_stream].concat(),
        [PREFACE, SETTINGS, headers_of_garbage].concat(),
        [PREFACE, SETTINGS, too_long].concat(),
    ]
    .to_vec()
}

/// Sends `bytes`, and reads until the server closes the connection. Ignores the response.
fn send(mut stream: impl Read + Write, socket: &TcpStream, bytes: &[u8]) {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may close the connection before everything is sent.
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    let _ = stream.read_to_end(&mut Vec::new());
}

fn connect(process: &Process) -> TcpStream {
    TcpStream::connect(&process.address).unwrap()
}

/// Connects and completes the handshake, so that what is sent afterwards arrives inside TLS.
fn connect_with_tls(
    process: &Process,
    protocol: &[u8],
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(trust_any_certificate(&[protocol]), name).unwrap();
    let mut stream = StreamOwned::new(client, connect(process));
    stream.conn.complete_io(&mut stream.sock).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(protocol));
    stream
}

/// Sends all malformed input to a server, stops it, and returns the lines of its log.
fn log_of(arguments: &[&str], is_tls: bool) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    // A short timeout, since some requests are incomplete.
    let limit = ["--set", "server.request_timeout=1s"];
    let process = Process::serve(folder.path(), &[&limit[..], arguments].concat());
    // With TLS, these plain requests are not part of a handshake.
    for bytes in requests() {
        let socket = connect(&process);
        send(&socket, &socket, &bytes);
    }
    if is_tls {
        for hello in
            [&b"\x16\x03\x01\0\x05hello"[..], b"\x15\x03\x03\0\x02\x01\0", b"\x16\x03\x01\xff\xff"]
        {
            let socket = connect(&process);
            send(&socket, &socket, hello);
        }
        for bytes in requests() {
            let mut stream = connect_with_tls(&process, b"http/1.1");
            let socket = stream.sock.try_clone().unwrap();
            send(&mut stream, &socket, &bytes);
        }
        for bytes in frames() {
            let mut stream = connect_with_tls(&process, b"h2");
            let socket = stream.sock.try_clone().unwrap();
            send(&mut stream, &socket, &bytes);
        }
    }
    process.signal("TERM");
    process.lines_until("\"message\":\"stopped\"")
}

fn faults(lines: Vec<String>) -> Vec<String> {
    let is_fault = |line: &String| line.contains("\"ERROR\"") || line.contains("\"WARN\"");
    // The warning about missing management credentials is unrelated to the requests.
    lines
        .into_iter()
        .filter(|line| is_fault(line) && !line.contains("management page and API are off"))
        .collect()
}

#[test]
fn malformed_requests_log_no_error_or_warning() {
    assert_eq!(faults(log_of(&[], false)), [""; 0]);
}

#[test]
fn malformed_tls_and_http2_input_logs_no_error_or_warning() {
    assert_eq!(faults(log_of(&["--set", "tls.mode=self-signed"], true)), [""; 0]);
}

#[test]
fn http_server_debug_level_logs_malformed_requests() {
    let lines = log_of(&["--set", "log.level=info,sentinel::app::http_server=debug"], false);
    let early = lines.iter().filter(|line| line.contains("a connection ended early")).count();
    assert!(early >= requests().len() / 2, "{lines:?}");
}
