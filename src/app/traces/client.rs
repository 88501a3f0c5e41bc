//! HTTP client for the collector's URL. It sends each POST request on a connection of its own.
//!
//! Its calls block, and run on the thread that sends batches of spans.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Time limit for connecting to the trace collector, and for each write and read.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of bytes read from a response of the trace collector.
const MAX_RESPONSE: u64 = 64 * 1024;

/// Sends spans to a trace collector. Logs once when sending starts to fail, and once when it
/// succeeds again.
#[derive(Debug)]
pub(super) struct OtlpClient {
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    is_failing: AtomicBool,
}

impl OtlpClient {
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let uri = url.parse::<actix_web::http::Uri>().map_err(|error| error.to_string())?;
        let host = uri.host().ok_or("the URL has no host")?;
        let tls = if uri.scheme_str() == Some("https") { Some(tls()?) } else { None };
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 }),
            tls,
            is_failing: AtomicBool::new(false),
        })
    }

    fn send(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let stream = connect(&self.host, self.port)?;
        match &self.tls {
            None => exchange(stream, request),
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone())?;
                let client = ClientConnection::new(Arc::clone(tls), name)?;
                exchange(StreamOwned::new(client, stream), request)
            }
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for OtlpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let result = self.send(&request);
        let failure = match &result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector responded {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        match (failure, &self.is_failing) {
            (Some(error), is_failing) if !is_failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "cannot send spans to traces.endpoint: they are dropped until it accepts them");
            }
            (None, is_failing) if is_failing.swap(false, Ordering::Relaxed) => {
                tracing::info!("traces.endpoint accepts spans again");
            }
            _ => {}
        }
        result
    }
}

fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut last = std::io::ErrorKind::AddrNotAvailable.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Returns a TLS configuration that trusts the root certificates of the system.
fn tls() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Sends a request on `stream` and returns the response. Uses HTTP/1.0, whose response ends with
/// the connection and is not chunked.
fn exchange(
    mut stream: impl Read + Write,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let authority = request.uri().authority().map_or("", |authority| authority.as_str());
    let mut head = format!("POST {target} HTTP/1.0\r\nHost: {authority}\r\n").into_bytes();
    for (name, value) in request.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let length = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", request.body().len());
    head.extend_from_slice(length.as_bytes());
    stream.write_all(&head)?;
    stream.write_all(request.body())?;
    stream.flush()?;
    let mut response = Vec::new();
    match stream.take(MAX_RESPONSE).read_to_end(&mut response) {
        Ok(_) => {}
        // Over TLS, many servers close the connection without a `close_notify`.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(error.into()),
    }
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.ok_or("the response is not HTTP")? + 4;
    let head = std::str::from_utf8(response.get(..end).unwrap_or_default())?;
    let status = head.split(' ').nth(1).ok_or("the response has no status")?;
    let body = Bytes::copy_from_slice(response.get(end..).unwrap_or_default());
    Ok(Response::builder().status(status).body(body)?)
}
