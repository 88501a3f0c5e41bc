//! HTTP/1.1 (RFC 9112), by actix-http, one request at a time.
//!
//! A client may send requests before it has its answers (§9.3.2). actix-http decodes them ahead, and that
//! goes wrong in many ways: some thousands of requests are in memory while one is answered; an answer is
//! framed by the request that was decoded last; with its buffers full it wakes itself all the time; what
//! is left in them when the answer is there may never be looked at. So it is given one request, and the
//! next one when the answer is there. What the octets mean is still for it to say: a request that ends
//! elsewhere than [`Extent`] thinks is one that is not answered.
//!
//! And it drops what it does for a client that is gone. Whoever guesses a password and is off must have
//! guessed, so it hears that a connection is over when the answer is there.

mod extent;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::Request;
use actix_service::{Service, fn_service};
use actix_web::web::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use extent::Extent;

/// How much of what comes before an answer is kept here; the rest stays in the system's buffers.
const AHEAD: usize = 4096;
/// How much of a body is taken that is no longer wanted, so that the client has time to read why.
const UNWANTED: usize = 256 * 1024;

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
        H: Service<(Gate<S>, Option<SocketAddr>)>,
    {
        let incoming = Rc::<RefCell<Incoming>>::default();
        let gate = Gate { io: stream, incoming: Rc::clone(&incoming) };
        let mut call = pin!(http1.call((gate, peer)));
        // Requests of this connection that are not answered.
        let mut open = 0;
        poll_fn(|context| {
            let (begun, answered) = (self.begun.get(), self.answered.get());
            if call.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            open = open + (self.begun.get() - begun) - (self.answered.get() - answered);
            if open == 0 && incoming.borrow_mut().go_on() {
                context.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }
}

/// What has come and is not handed on.
#[derive(Default)]
struct Incoming {
    /// Where in the present request it is.
    extent: Extent,
    /// What is for later.
    held: BytesMut,
    /// The present request is answered, and has not come to its end.
    is_refused: bool,
    /// What was handed on of its body since then.
    unwanted: usize,
    /// Something waits to be sent.
    is_blocked: bool,
    /// Nothing more comes, or can be sent.
    is_over: bool,
}

impl Incoming {
    /// Takes note that no request is being answered; whether there is something to do because of that.
    fn go_on(&mut self) -> bool {
        // What is not sent would be framed by the next request.
        if self.is_blocked {
            return false;
        }
        if !self.extent.is_whole() {
            // It is read on, so that the client can read why.
            let was_refused = std::mem::replace(&mut self.is_refused, self.extent.is_in_body());
            return self.is_refused && !was_refused;
        }
        self.extent = Extent::default();
        (self.is_refused, self.unwanted) = (false, 0);
        self.is_over || !self.held.is_empty()
    }

    /// How many of these octets, the next ones, are of the present request: at least one.
    fn take(&mut self, octets: &[u8]) -> usize {
        let taken = self.extent.take(octets);
        if self.is_refused {
            self.unwanted += taken;
            self.is_over |= self.unwanted > UNWANTED;
        }
        taken
    }
}

/// A connection that hands on one request at a time.
pub(super) struct Gate<S> {
    io: S,
    incoming: Rc<RefCell<Incoming>>,
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Reads on while a request is answered, so that it is noticed when the client sends more, but not
    /// for ever.
    fn look_ahead(
        io: &mut S,
        incoming: &mut Incoming,
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        while !incoming.is_over && incoming.held.len() < AHEAD {
            let mut space = [MaybeUninit::uninit(); AHEAD];
            let mut buffer = ReadBuf::uninit(&mut space);
            if read(io, incoming, context, &mut buffer)?.is_pending() {
                break;
            }
            incoming.held.extend_from_slice(buffer.filled());
        }
        Ok(())
    }
}

/// Reads, and notes when there is no more. A connection that is broken is over, as one that is closed.
///
/// # Errors
/// When the client has taken too long.
fn read<S: AsyncRead + Unpin>(
    io: &mut S,
    incoming: &mut Incoming,
    context: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> io::Result<Poll<()>> {
    let before = buffer.filled().len();
    match Pin::new(io).poll_read(context, buffer) {
        Poll::Pending => return Ok(Poll::Pending),
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
        Poll::Ready(result) => {
            incoming.is_over |= result.is_err() || buffer.filled().len() == before;
        }
    }
    Ok(Poll::Ready(()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, incoming } = self.get_mut();
        let mut incoming = incoming.borrow_mut();
        let incoming = &mut *incoming;
        if incoming.extent.is_whole() {
            return match Self::look_ahead(io, incoming, context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        if !incoming.held.is_empty() {
            let mut held = incoming.held.split();
            let taken = incoming.take(held.get(..buffer.remaining()).unwrap_or(&held));
            buffer.put_slice(&held.split_to(taken));
            incoming.held = held;
            return Poll::Ready(Ok(()));
        }
        if incoming.is_over {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match read(io, incoming, context, buffer) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        let (_, octets) = buffer.filled().split_at(before);
        let taken = incoming.take(octets);
        incoming.held.extend_from_slice(octets.split_at(taken).1);
        buffer.set_filled(before + taken);
        Poll::Ready(Ok(()))
    }
}

impl<S> Gate<S> {
    /// What becomes of a write. To whom it cannot be written, it need not be.
    fn written<T>(&self, result: Poll<io::Result<T>>, all: T) -> Poll<io::Result<T>> {
        let mut incoming = self.incoming.borrow_mut();
        incoming.is_blocked = result.is_pending();
        match result {
            Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::TimedOut => {
                incoming.is_over = true;
                Poll::Ready(Ok(all))
            }
            result => result,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(context, octets);
        self.written(result, octets.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(context);
        self.written(result, ())
    }

    /// What has come and is not read would have the system say that the connection is reset, and the client
    /// might not read the answers before that.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, incoming } = &mut *self;
        let incoming = &mut *incoming.borrow_mut();
        incoming.held.clear();
        while !incoming.is_over && incoming.unwanted < UNWANTED {
            Self::look_ahead(io, incoming, context)?;
            if incoming.held.is_empty() {
                break;
            }
            incoming.unwanted += incoming.held.len();
            incoming.held.clear();
        }
        Pin::new(io).poll_shutdown(context)
    }
}
