//! TLS handshakes.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::poll;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// The HTTP versions that TLS handshakes offer, the preferred one first (RFC 7301 §3.1).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Performs the TLS handshakes of one I/O thread.
///
/// A key exchange takes a good part of a millisecond. A client that begins many at once would delay
/// all responses of the thread for as long as all of them take, so the task yields to other
/// connections after each exchange. A slow client delays no other: only the computation is
/// serialized.
pub(super) struct Handshakes {
    config: Arc<ServerConfig>,
    /// Serializes the key exchanges of the I/O thread.
    computing: Semaphore,
}

impl Handshakes {
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Self { config: Arc::new(config), computing: Semaphore::new(1) }
    }

    /// Performs a TLS handshake and returns the encrypted stream; the caller must limit the time.
    pub(super) async fn perform<T>(&self, io: T) -> io::Result<TlsStream<T>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
        // The key exchange is computed as soon as there is a stream.
        let permit = self.computing.acquire().await;
        let mut handshake = pin!(hello.into_stream(Arc::clone(&self.config)));
        let computed = poll!(&mut handshake);
        tokio::task::yield_now().await;
        drop(permit);
        match computed {
            Poll::Ready(done) => done,
            Poll::Pending => handshake.await,
        }
    }
}

/// Returns whether the client has chosen HTTP/2 in the TLS handshake.
pub(super) fn is_http2<T>(stream: &TlsStream<T>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(PROTOCOLS[0])
}
