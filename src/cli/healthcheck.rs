//! `sentinel healthcheck`: sends one request to `/readyz` of the server on this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ureq::Agent;
use ureq::tls::TlsConfig;

use super::failure::Failure;
use super::global::Global;
use super::output;
use crate::settings::{Bind, Settings, TlsMode};

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
fn request_status(tls: TlsMode, bind: &Bind, timeout: Duration) -> Result<u16, ureq::Error> {
    let address = match bind {
        Bind::Unix(path) => return Ok(request_status_on_socket(path, timeout)?),
        Bind::Tcp(address) => resolve(address)?,
    };
    let agent = agent(timeout);
    let get = |scheme| {
        let response = agent.get(format!("{scheme}://{address}/readyz")).call();
        response.map(|response| response.status().as_u16())
    };
    match tls {
        // `serve --dev` uses TLS where the settings do not set `tls.mode`.
        TlsMode::Off => get("http").or_else(|error| get("https").map_err(|_| error)),
        _ => get("https"),
    }
}

fn request_status_on_socket(path: &Path, timeout: Duration) -> std::io::Result<u16> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(timeout))?;
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

/// Creates an HTTP client that accepts any certificate. The request goes to this machine and
/// contains no secret, and the certificate may be issued to any name.
fn agent(timeout: Duration) -> Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .disable_verification(true)
        .unversioned_rustls_crypto_provider(provider);
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None);
    config.build().new_agent()
}
