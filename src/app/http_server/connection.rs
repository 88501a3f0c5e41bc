//! One connection, from its first request until it is closed.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::activity::{ConnectionActivity, InFlight, KEEP_ALIVE};
use super::monitored_stream::{MonitoredStream, Protocol};
use super::service::respond;
use super::{App, HttpServer};
use crate::observe::error_chain;

/// Maximum octets of an HTTP/1.1 request head, and of a body that is read before the application
/// asks for it.
const READ_BUFFER: usize = 64 * 1024;
/// Maximum number of HTTP/2 requests in progress on one connection (RFC 9113 §5.1.2,
/// SETTINGS_MAX_CONCURRENT_STREAMS).
const MAX_STREAMS: u32 = 128;
/// Maximum octets of an HTTP/2 header list after decompression: a few octets on the wire can stand
/// for a large list (RFC 7541 §7.3).
const MAX_HEADER_LIST: u32 = 32 * 1024;
/// Number of HTTP/2 requests in progress on one connection that do not count towards the limit of
/// the process, so that a few connections cannot use up this limit.
const FREE_STREAMS: u32 = 4;
/// Maximum octets of a body that an HTTP/2 client may send on one stream before the application
/// reads them, and of a response that are kept until they are sent.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Maximum octets of request bodies that an HTTP/2 client may send on one connection before the
/// application reads them.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Maximum time of an HTTP/2 request, from its head to the last octet of its response. The parts of
/// a request have time limits of their own; this limit ends a stream whose client opens no
/// flow-control window for the response.
const STREAM_LIFETIME: Duration = Duration::from_secs(120);
/// Maximum time for closing an HTTP/1.1 connection.
const CLOSING: Duration = Duration::from_secs(6);
/// Response to an HTTP/1.1 request that is not sent in time. RFC 9110 §15.5.9: the server "did not
/// receive a complete request message within the time that it was prepared to wait".
const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A client's connection that is about to be served.
pub(super) struct Connection<'a> {
    pub(super) app: &'a Rc<App>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) server: &'a HttpServer,
}

impl Connection<'_> {
    /// Serves the connection with HTTP/1.1 until it ends. hyper reads the next request only after
    /// the previous response is written, so a client that pipelines (RFC 9112 §9.3.2) has one
    /// request in progress.
    pub(super) async fn serve_http1(self, io: impl AsyncRead + AsyncWrite + Unpin) {
        let activity = ConnectionActivity::start();
        let stream = MonitoredStream::new(io, Rc::clone(&activity), Protocol::Http1);
        let service = service_fn(|request| {
            respond(Rc::clone(self.app), request, self.peer, InFlight::start(&activity, None))
        });
        let mut connection = http1::Builder::new()
            // A client that closes its sending half still gets its responses, and the request of a
            // client that has disconnected is finished.
            .half_close(true)
            .max_buf_size(READ_BUFFER)
            // Responses are small: one buffer is faster than a list of two.
            .writev(false)
            .serve_connection(TokioIo::new(stream), service);
        let shut_down = http1::Connection::graceful_shutdown;
        let is_in_time = self.drive(&mut connection, shut_down, &activity).await;
        let mut stream = connection.into_parts().io.into_inner();
        let closing = async {
            if !is_in_time && !activity.is_blocked() && !stream.is_shut_down() {
                let _ = stream.write_all(REQUEST_TIMEOUT).await;
            }
            stream.shutdown().await
        };
        // The connection ends whether or not this succeeds.
        let _ = timeout(CLOSING, closing).await;
    }

    /// Serves the connection with HTTP/2 until it ends.
    pub(super) async fn serve_http2(self, io: impl AsyncRead + AsyncWrite + Unpin) {
        let activity = ConnectionActivity::start();
        let stream = MonitoredStream::new(io, Rc::clone(&activity), Protocol::Http2);
        let tasks = TaskTracker::new();
        let service = service_fn(|request| {
            // Requests that the client cancelled no longer count for `h2`, but are still in
            // progress.
            let permit = match activity.in_flight() {
                ..FREE_STREAMS => Ok(None),
                MAX_STREAMS.. => Err(()),
                _ => Arc::clone(&self.server.http2_requests)
                    .try_acquire_owned()
                    .map(Some)
                    .map_err(drop),
            };
            let task = permit.ok().map(|permit| {
                let in_flight = InFlight::start(&activity, permit);
                // A task of its own, which goes on if the client cancels the request.
                tasks.spawn_local(respond(Rc::clone(self.app), request, self.peer, in_flight))
            });
            async move {
                match task {
                    Some(task) => task.await.unwrap_or(Err(Reason::INTERNAL_ERROR.into())),
                    // RFC 9113 §8.7: REFUSED_STREAM says that nothing was processed.
                    None => Err(Reason::REFUSED_STREAM.into()),
                }
            }
        });
        let mut connection = http2::Builder::new(LocalExecutor)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_send_buf_size(STREAM_WINDOW as usize)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .serve_connection(TokioIo::new(stream), service);
        self.drive(&mut connection, http2::Connection::graceful_shutdown, &activity).await;
        // A client that reconnects gets no more requests in progress than others, and a stop waits
        // for these.
        drop(connection);
        tasks.close();
        let _ = timeout(STREAM_LIFETIME, tasks.wait()).await;
    }

    /// Drives a connection until it ends and returns `true`; returns `false` as soon as the client
    /// makes no progress in time. Calls `shut_down`, which lets requests finish, when the server
    /// stops or the connection has been idle for long.
    async fn drive<C>(
        &self,
        connection: &mut C,
        shut_down: impl Fn(Pin<&mut C>),
        activity: &ConnectionActivity,
    ) -> bool
    where
        C: Future<Output = hyper::Result<()>> + Unpin,
    {
        let limit = self.server.request_timeout;
        // No deadline that is set between two ticks is before the second.
        let tick = limit.min(KEEP_ALIVE);
        let mut timer = pin!(sleep_until(Instant::now() + tick));
        let mut stopping = pin!(self.server.stopping.notified());
        let mut is_shutting_down = false;
        loop {
            tokio::select! {
                // A connection that is always ready must not keep the others from being polled.
                biased;
                () = &mut timer => {
                    let now = Instant::now();
                    let deadline = activity.deadline(limit, is_shutting_down);
                    if let Some(deadline) = deadline.filter(|deadline| *deadline <= now) {
                        if is_shutting_down || !activity.is_idle() {
                            return false;
                        }
                        is_shutting_down = true;
                        activity.restart(deadline);
                        shut_down(Pin::new(connection));
                    }
                    let next = now + tick;
                    timer.as_mut().reset(deadline.filter(|at| *at > now).unwrap_or(next).min(next));
                }
                () = &mut stopping, if !is_shutting_down => {
                    is_shutting_down = true;
                    let now = Instant::now();
                    activity.restart(now);
                    shut_down(Pin::new(connection));
                    timer.as_mut().reset(now + tick);
                }
                result = &mut *connection => {
                    if let Err(error) = result {
                        // Any client can cause this at any rate.
                        tracing::debug!(error = error_chain(&error), "a connection ended early");
                    }
                    return true;
                }
            }
        }
    }
}

/// Runs the HTTP/2 streams of a connection on its I/O thread, each for [`STREAM_LIFETIME`] at most.
#[derive(Clone)]
struct LocalExecutor;

impl<F: Future + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, stream: F) {
        spawn_local(timeout(STREAM_LIFETIME, stream));
    }
}
