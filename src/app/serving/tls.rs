//! The beginning of TLS, and the stream that comes of it or goes without.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::poll;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::guarded::Guarded;

/// The protocols that are offered, the better one first (RFC 7301 §3.1).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The handshakes of one I/O thread.
///
/// A key exchange takes a good part of a millisecond. Somebody who begins many at once would hold up
/// all answers of the thread for as long as all of them take, so there is one between two looks at
/// what the connections have to say. Who is slow to send takes nobody's turn: it is for computing
/// alone.
pub(super) struct Handshakes {
    config: Arc<ServerConfig>,
    turns: Semaphore,
}

impl Handshakes {
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Self { config: Arc::new(config), turns: Semaphore::new(1) }
    }

    /// Has a client begin; when it has to have is the caller's to say.
    pub(super) async fn shake<T>(&self, io: Guarded<T>) -> io::Result<TlsStream<Guarded<T>>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
        // The key exchange is computed as soon as there is a stream.
        let turn = self.turns.acquire().await;
        let mut handshake = pin!(hello.into_stream(Arc::clone(&self.config)));
        let computed = poll!(&mut handshake);
        tokio::task::yield_now().await;
        drop(turn);
        match computed {
            Poll::Ready(done) => done,
            Poll::Pending => handshake.await,
        }
    }
}

/// Whether the client has chosen HTTP/2.
pub(super) fn is_http2<T>(stream: &TlsStream<T>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(PROTOCOLS[0])
}

/// A connection with TLS or without.
pub(super) enum Stream<T> {
    Plain(Guarded<T>),
    Tls(Box<TlsStream<Guarded<T>>>),
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Self::Tls(io) => Pin::new(io).poll_read(context, buffer),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Self::Tls(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(context),
            Self::Tls(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(context),
            Self::Tls(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}
