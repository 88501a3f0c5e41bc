//! `sentinel healthcheck`: sends one request to `/readyz` of the server on this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::failure::Failure;
use super::global::Global;
use super::output;
use crate::settings::{Bind, Settings, TlsMode};
use crate::web::tls::AnyCertificate;

#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    /// Time limit for the response, in seconds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

impl Healthcheck {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let (server, tls) = Settings::listening(&global.sources())?;
        let bind = server.bind.first();
        let bind = bind.ok_or_else(|| Failure::config("server.bind is empty"))?;
        let status = request_status(tls.mode, bind, Duration::from_secs(self.timeout))
            .map_err(|error| Failure::unavailable(format!("{bind} does not answer: {error}")))?;
        if status != 200 {
            return Err(Failure::unavailable(format!("{bind} is not ready: status {status}")));
        }
        if global.json {
            return output::json(&serde_json::json!({ "ready": true }));
        }
        output::line("ready")
    }
}

/// Requests `/readyz` of the server at `bind` and returns the HTTP status code.
fn request_status(tls: TlsMode, bind: &Bind, timeout: Duration) -> std::io::Result<u16> {
    match bind {
        Bind::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(timeout))?;
            send_request(stream)
        }
        Bind::Tcp(address) => {
            let connect = || {
                let stream = TcpStream::connect_timeout(&resolve(address)?, timeout)?;
                stream.set_read_timeout(Some(timeout))?;
                Ok::<_, std::io::Error>(stream)
            };
            let plain = match tls {
                TlsMode::Off => send_request(connect()?),
                _ => return send_request(StreamOwned::new(tls_client()?, connect()?)),
            };
            // `serve --dev` uses TLS where the settings do not set `tls.mode`.
            plain.or_else(|error| {
                send_request(StreamOwned::new(tls_client()?, connect()?)).map_err(|_| error)
            })
        }
    }
}

fn send_request(mut stream: impl Read + Write) -> std::io::Result<u16> {
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0u8; 12];
    stream.read_exact(&mut head)?;
    let head = String::from_utf8_lossy(&head).into_owned();
    let status = head.rsplit(' ').next().and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other("the response is not HTTP"))
}

/// Resolves an address of `server.bind` to one to connect to: loopback for an unspecified address.
fn resolve(address: &str) -> std::io::Result<SocketAddr> {
    let mut resolved = address.to_socket_addrs()?;
    let mut address = resolved.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

/// Creates a TLS client that accepts any certificate. The request goes to this machine and contains
/// no secret, and the certificate may be issued to a name other than `localhost`.
fn tls_client() -> std::io::Result<ClientConnection> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
    ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)
}
