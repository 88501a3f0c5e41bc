//! HTTP/1.1 (RFC 9112), by actix-http, and what it leaves undone for a client that sends requests
//! before it has its answers (§9.3.2).
//!
//! It takes requests until 16 of them wait, and then octets until 128 KiB wait. But before it counts the
//! requests it takes all that is there, which may be some thousands in those 128 KiB. With both full it
//! wakes itself all the time, and a login waits for a thread of lower priority, which would not run
//! meanwhile. And once the 16 are answered it does not look at the octets before more come, which may be
//! never. Nor does it finish an answer when the connection is reset: whoever guesses a password and is
//! off must have guessed.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::Request;
use actix_service::{Service, fn_service};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How much is taken before the requests in it are counted.
const PORTION: usize = 8 * 1024;
/// How long a client whose requests fill what there is for them is not looked at.
const FULL: Duration = Duration::from_millis(5);

/// How many requests the connections of one I/O thread have had, and how many of them are answered.
#[derive(Default)]
pub(super) struct Requests {
    begun: Cell<u64>,
    answered: Cell<u64>,
}

impl Requests {
    /// `app`, with its requests counted.
    pub(super) fn counted<S>(
        self: Rc<Self>,
        app: Rc<S>,
    ) -> impl Service<Request, Response = S::Response, Error = S::Error> + Clone
    where
        S: Service<Request>,
    {
        fn_service(move |request| {
            let (requests, app) = (Rc::clone(&self), Rc::clone(&app));
            async move {
                requests.begun.set(requests.begun.get() + 1);
                let answer = app.call(request).await;
                requests.answered.set(requests.answered.get() + 1);
                answer
            }
        })
    }

    /// Serves a connection until it ends; `http1` has the requests counted here.
    pub(super) async fn serve<S, H>(&self, http1: &H, stream: S, peer: Option<SocketAddr>)
    where
        H: Service<(Watched<S>, Option<SocketAddr>)>,
    {
        let reading = Rc::<Reading>::default();
        let stream = Watched { io: stream, reading: Rc::clone(&reading) };
        let mut call = pin!(http1.call((stream, peer)));
        let mut pause: Option<Pin<Box<Sleep>>> = None;
        // Requests of this connection that are not answered: one at the most, since it takes turns.
        let mut open = 0;
        poll_fn(|context| {
            if let Some(pausing) = &mut pause {
                ready!(pausing.as_mut().poll(context));
                pause = None;
            }
            reading.tried.set(false);
            reading.taken.set(0);
            let (begun, answered) = (self.begun.get(), self.answered.get());
            if call.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let (begun, answered) = (self.begun.get() - begun, self.answered.get() - answered);
            if !reading.tried.get() {
                let pausing = pause.insert(Box::pin(sleep(FULL)));
                // It is to wake us.
                let _ = pausing.as_mut().poll(context);
            } else if open > 0 && answered > 0 {
                // What came before that answer may be complete.
                context.waker().wake_by_ref();
            }
            open = open + begun - answered;
            Poll::Pending
        })
        .await;
    }
}

/// What was read from a connection since it was last looked at.
#[derive(Default)]
struct Reading {
    tried: Cell<bool>,
    taken: Cell<usize>,
}

/// A connection that is read from by portions.
pub(super) struct Watched<S> {
    io: S,
    reading: Rc<Reading>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, reading } = self.get_mut();
        reading.tried.set(true);
        if reading.taken.get() >= PORTION {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let result = Pin::new(io).poll_read(context, buffer);
        reading.taken.set(reading.taken.get() + buffer.filled().len() - before);
        match result {
            // A connection that is broken is over, as one that is closed.
            Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::TimedOut => {
                Poll::Ready(Ok(()))
            }
            result => result,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
