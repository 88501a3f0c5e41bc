//! One HTTP/1.1 connection, and requests as octets.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::helpers::trust_any_certificate;

/// Maximum duration of any step on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A persistent connection.
pub struct RawConnection<S = TcpStream> {
    pub stream: S,
    received: Vec<u8>,
}

/// A plain or TLS stream.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects with TLS, and offers one protocol by ALPN.
pub async fn secured(address: &str, protocol: &[u8]) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let shaking = TlsConnector::from(trust_any_certificate(&[protocol])).connect(name, stream);
    tokio::time::timeout(PATIENCE, shaking).await.expect("a handshake").unwrap()
}

/// A parsed response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub body: String,
}

impl RawConnection {
    pub async fn connect(address: &str) -> Self {
        Self::new(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawConnection<S> {
    pub const fn new(stream: S) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// Sends a request and reads its response, which has to arrive.
    pub async fn ask(&mut self, request: &[u8]) -> Reply {
        self.try_ask(request).await.unwrap()
    }

    /// Sends a request and reads its response, unless the server has closed the connection.
    pub async fn try_ask(&mut self, request: &[u8]) -> io::Result<Reply> {
        let asking = async {
            self.stream.write_all(request).await?;
            self.reply().await
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("an answer, some time")
    }

    /// Reads the next response.
    pub async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            if let Some((reply, length)) = parse(&self.received) {
                self.received.drain(..length);
                return Ok(reply);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads until the server closes the connection, which it has to do within `limit`.
    pub async fn rest(mut self, limit: Duration) -> String {
        let reading =
            async { while let Ok(1..) = self.stream.read_buf(&mut self.received).await {} };
        tokio::time::timeout(limit, reading).await.expect("the server closes");
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// Parses the first response, and returns it with its length if it is complete.
fn parse(bytes: &[u8]) -> Option<(Reply, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(bytes).unwrap() else { return None };
    let number = |name: &str| {
        let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).unwrap().parse::<u64>().ok()
    };
    let length = usize::try_from(number("content-length").unwrap_or(0)).unwrap();
    let body = bytes.get(start..start + length)?;
    let reply = Reply {
        status: head.code.unwrap(),
        retry_after: number("retry-after"),
        body: String::from_utf8_lossy(body).into_owned(),
    };
    Some((reply, start + length))
}

/// A `GET` with additional headers.
pub fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: sentinel\r\n{headers}\r\n").into_bytes()
}

/// A `POST` of a form with additional headers.
pub fn post(path: &str, headers: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: sentinel\r\n{headers}content-length: {length}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The `Authorization` header of HTTP Basic.
pub fn basic(name: &str, password: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    format!("authorization: Basic {encoded}\r\n")
}
