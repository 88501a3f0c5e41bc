//! How a connection is served: TLS where that is on, then HTTP/1.1 or HTTP/2, as the client chooses.
//!
//! actix-web's own server would do all of this, but sets no end to what one connection may take: how
//! many streams it has and how large their headers are, how long the head of a later request takes to
//! arrive, and how long answers wait for somebody who does not read them. [`guarded`] and [`http2`]
//! do; [`http1`] mends what is left. `docs/overload.md` has all limits.

mod guarded;
mod http1;
mod http2;
mod tls;

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Request};
use actix_server::GracefulShutdownSignal;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, fn_factory, fn_service, map_config,
};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use guarded::Guarded;
use http1::{Gate, Requests};
use tls::{Handshakes, Stream};

/// How long an idle connection is kept: longer than nginx keeps its own (60 s), so that it is the
/// proxy that closes, and no request meets a closing connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long an answer may take when its request is there. It never takes that long: stores and
/// passwords are given up, or begun with, within seconds. nginx waits for as long.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a client may take to close a connection that is over.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where connections come from.
pub(super) trait Incoming: AsyncRead + AsyncWrite + Unpin + 'static {
    /// The address of the other side, if it has one.
    ///
    /// # Errors
    /// When the other side is no longer there: what it has sent must not count as from nowhere.
    fn peer(&self) -> io::Result<Option<SocketAddr>>;
}

impl Incoming for TcpStream {
    fn peer(&self) -> io::Result<Option<SocketAddr>> {
        self.peer_addr().map(Some)
    }
}

impl Incoming for UnixStream {
    fn peer(&self) -> io::Result<Option<SocketAddr>> {
        Ok(None)
    }
}

/// How the connections of a listener are served.
#[derive(Clone)]
pub(super) struct Serving {
    /// TLS, where it is on.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// How long the head of a first request may take to arrive; before that, a handshake.
    pub(super) request_timeout: Duration,
    /// Says when the server stops.
    pub(super) stopping: GracefulShutdownSignal,
}

impl Serving {
    /// What serves connections, made once for each I/O thread. `app` answers their requests.
    pub(super) fn factory<T, F, I, S, B>(
        self,
        app: F,
    ) -> impl ServiceFactory<T, Config = (), Response = (), Error = (), InitError = ()>
    where
        T: Incoming,
        F: Fn() -> I + Clone + 'static,
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
        fn_factory(move || {
            let (serving, app) = (self.clone(), app.clone());
            async move {
                let app = map_config(app().into_factory(), |()| AppConfig::default());
                let app = Rc::new(app.new_service(()).await?);
                let requests = Rc::<Requests>::default();
                let counted = Rc::clone(&requests).counted(Rc::clone(&app));
                let stopping = serving.stopping.clone();
                let http1 = HttpService::build()
                    .keep_alive(KEEP_ALIVE)
                    .client_request_timeout(serving.request_timeout)
                    .client_disconnect_timeout(GOODBYE)
                    .graceful_shutdown_signal(move || {
                        let stopping = stopping.clone();
                        async move { stopping.notified().await }
                    })
                    .h1(fn_factory(move || ready(Ok::<_, ()>(counted.clone()))));
                let http1 = http1.new_service(()).await?;
                let tls = serving.tls.map(Handshakes::new);
                let connections = Rc::new(Connections {
                    app,
                    http1,
                    requests,
                    tls,
                    request_timeout: serving.request_timeout,
                    stopping: serving.stopping,
                });
                Ok(fn_service(move |io: T| {
                    let connections = Rc::clone(&connections);
                    async move {
                        connections.serve(io).await;
                        Ok(())
                    }
                }))
            }
        })
    }
}

/// What the connections of one I/O thread share.
struct Connections<S, H> {
    app: Rc<S>,
    http1: H,
    requests: Rc<Requests>,
    tls: Option<Handshakes>,
    request_timeout: Duration,
    stopping: GracefulShutdownSignal,
}

impl<S, H> Connections<S, H> {
    /// Serves one until it ends. Why it does is nobody's business but the client's.
    async fn serve<T, B>(&self, io: T)
    where
        T: Incoming,
        S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
        B: MessageBody + 'static,
        H: Service<(Gate<Stream<T>>, Option<SocketAddr>)>,
    {
        let Ok(peer) = io.peer() else { return };
        // An idle connection is for others to end, before this.
        let patience = (self.request_timeout + ANSWER).max(KEEP_ALIVE + GOODBYE);
        let io = Guarded::new(io, patience);
        let Some(tls) = &self.tls else {
            self.requests.serve(&self.http1, Stream::Plain(io), peer).await;
            return;
        };
        // In a box, so that connections without TLS take no memory for it.
        let secured = Box::pin(async {
            let shaken = tokio::time::timeout(self.request_timeout, tls.shake(io)).await;
            let Ok(Ok(stream)) = shaken else { return };
            if tls::is_http2(&stream) {
                let limits = http2::Limits {
                    preface: self.request_timeout,
                    idle: KEEP_ALIVE,
                    stopping: &self.stopping,
                };
                http2::serve(stream, peer, &self.app, limits).await;
            } else {
                let stream = Stream::Tls(Box::new(stream));
                self.requests.serve(&self.http1, stream, peer).await;
            }
        });
        secured.await;
    }
}
