//! Serves connections: TLS where it is on, then HTTP/1.1 (RFC 9112) or HTTP/2 (RFC 9113) by hyper,
//! answered by the actix-web application.
//!
//! actix-web's own server limits neither the streams and header fields of an HTTP/2 connection, nor
//! the time in which a later request head arrives or a response is read, and it drops a request, a
//! password guess included, when its client disconnects.
//! `docs/adr/0017-hyper-serves-connections.md` has the decision, `docs/overload.md` all limits.
//!
//! - [`connection`] configures hyper for a connection and ends the connection in time.
//! - [`service`] translates a request for the application and its response for hyper.
//! - [`request_body`] makes a response that precedes the end of its request reach the client.
//! - [`monitored_stream`] and [`activity`] record whether a connection makes progress.
//! - [`handshakes`] performs TLS handshakes.

mod activity;
mod connection;
mod handshakes;
mod monitored_stream;
mod request_body;
mod service;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Request;
use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::boxed::{self, BoxService};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service,
};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use super::sockets::{ListenAddresses, Socket};
use connection::Connection;
use handshakes::Handshakes;

/// The actix-web application of one I/O thread.
type App = BoxService<Request, ServiceResponse, actix_web::Error>;

/// Maximum number of HTTP/2 requests in progress in the whole process, without the first few
/// (`FREE_STREAMS`) of each connection. HTTP/1.1 has one request for each connection.
const MAX_HTTP2_REQUESTS: usize = 4096;

/// A socket that the server accepted.
trait Incoming: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Prepares the socket and returns the address of its peer; `None` for a Unix socket.
    ///
    /// # Errors
    /// If the peer has disconnected: its requests must not count as coming from a Unix socket.
    fn accept(&self) -> io::Result<Option<SocketAddr>>;
}

impl Incoming for TcpStream {
    /// Sets `TCP_NODELAY`, without which the second segment of a response waits for the client's
    /// delayed acknowledgement of the first, some 40 ms. Returns the address of the peer.
    fn accept(&self) -> io::Result<Option<SocketAddr>> {
        self.set_nodelay(true)?;
        self.peer_addr().map(Some)
    }
}

impl Incoming for UnixStream {
    fn accept(&self) -> io::Result<Option<SocketAddr>> {
        Ok(None)
    }
}

/// Serves the connections of listening sockets.
#[derive(Clone)]
pub(super) struct HttpServer {
    tls: Option<Arc<ServerConfig>>,
    /// Time limit of a TLS handshake and of each request head.
    request_timeout: Duration,
    /// Signal that resolves when the server stops.
    stopping: GracefulShutdownSignal,
    /// Semaphore that limits the HTTP/2 requests in progress in the whole process.
    http2_requests: Arc<Semaphore>,
}

impl HttpServer {
    /// Creates a server that stops together with the server of `builder`. Uses TLS if `tls` is set.
    pub(super) fn new(
        builder: &ServerBuilder,
        request_timeout: Duration,
        tls: Option<ServerConfig>,
    ) -> Self {
        Self {
            tls: tls.map(Arc::new),
            request_timeout,
            stopping: builder.graceful_shutdown_signal(),
            http2_requests: Arc::new(Semaphore::new(MAX_HTTP2_REQUESTS)),
        }
    }

    /// Adds a socket to `builder` and its address to `listening`. Each I/O thread creates its
    /// actix-web application with `app`. A Unix socket has no TLS.
    pub(super) fn listen<F, I, S, B>(
        &self,
        builder: ServerBuilder,
        socket: Socket,
        listening: &mut ListenAddresses,
        app: F,
    ) -> io::Result<ServerBuilder>
    where
        F: Fn() -> I + Clone + Send + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<
                Request,
                Config = AppConfig,
                Response = ServiceResponse<B>,
                Error = actix_web::Error,
                InitError = (),
            > + 'static,
        B: MessageBody + 'static,
    {
        let app = move || {
            let app = app().into_factory().map(ServiceResponse::map_into_boxed_body);
            boxed::factory(app).new_service(AppConfig::default())
        };
        let server = self.clone();
        match socket {
            Socket::Unix(listener, path) => {
                listening.unix_sockets.push(path);
                let server = Self { tls: None, ..server };
                builder.listen_uds("unix", listener, move || server.clone().factory(app.clone()))
            }
            Socket::Tcp(listener, address) => {
                listening.addresses.push(address);
                builder.listen("tcp", listener, move || server.clone().factory(app.clone()))
            }
        }
    }

    /// Returns the factory of the service that serves the connections of one I/O thread.
    fn factory<T: Incoming, A: Future<Output = Result<App, ()>>>(
        self,
        app: impl Fn() -> A + Clone + 'static,
    ) -> impl ServiceFactory<T, Config = (), Response = (), Error = (), InitError = ()> {
        fn_factory(move || {
            let (server, app) = (self.clone(), app());
            async move {
                let thread = Rc::new(IoThread {
                    app: Rc::new(app.await?),
                    handshakes: server.tls.clone().map(Handshakes::new),
                    server,
                });
                Ok(fn_service(move |io: T| {
                    let thread = Rc::clone(&thread);
                    async move {
                        thread.serve(io).await;
                        Ok(())
                    }
                }))
            }
        })
    }
}

/// State that the connections of one I/O thread share.
struct IoThread {
    app: Rc<App>,
    handshakes: Option<Handshakes>,
    server: HttpServer,
}

impl IoThread {
    /// Serves a client's connection until it ends.
    async fn serve(&self, io: impl Incoming) {
        let Ok(peer) = io.accept() else { return };
        let connection = Connection { app: &self.app, peer, server: &self.server };
        let Some(handshakes) = &self.handshakes else {
            connection.serve_http1(io).await;
            return;
        };
        // Boxed, so that connections without TLS do not reserve memory for it.
        let secured = Box::pin(async {
            let limit = self.server.request_timeout;
            let handshake = tokio::time::timeout(limit, handshakes.perform(io)).await;
            let Ok(Ok(stream)) = handshake else { return };
            if handshakes::is_http2(&stream) {
                connection.serve_http2(stream).await;
            } else {
                connection.serve_http1(stream).await;
            }
        });
        secured.await;
    }
}
