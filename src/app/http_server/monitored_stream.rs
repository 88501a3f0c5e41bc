//! A stream that records the progress of its connection.
//!
//! It reads nothing while a write waits for the client, so that a client that sends requests and
//! reads no responses costs no memory. When it is shut down, it discards what still arrives: unread
//! octets make the operating system reset the connection, and the reset can overtake the response.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::ConnectionActivity;

/// Maximum octets and time for discarding what a client still sends after its connection was closed
/// in the middle of a request.
const LINGER: (usize, Duration) = (16 << 20, Duration::from_secs(5));
/// Maximum octets and time for discarding what arrives on a closed connection with no unread
/// request. HTTP/2 requests are discarded before their connection is closed.
const SHORT_LINGER: (usize, Duration) = (64 << 10, Duration::from_secs(1));

/// The HTTP version that a stream carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A client's stream that reports its progress to the [`ConnectionActivity`] of the connection.
pub(super) struct MonitoredStream<T> {
    io: T,
    activity: Rc<ConnectionActivity>,
    protocol: Protocol,
    /// Whether a read was refused because a write waited, so that the reading task has to be woken.
    read_refused: bool,
    /// After shutdown: number of octets that may still be discarded, and the timer that ends
    /// discarding.
    lingering: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<T> MonitoredStream<T> {
    pub(super) const fn new(io: T, activity: Rc<ConnectionActivity>, protocol: Protocol) -> Self {
        Self { io, activity, protocol, read_refused: false, lingering: None }
    }

    /// Returns whether the sending half of the stream is closed.
    pub(super) const fn is_shut_down(&self) -> bool {
        self.lingering.is_some()
    }

    /// Records whether a write waits for the client, and returns the result of the write. While a
    /// request is in progress, a write to a client that has disconnected succeeds as if
    /// `everything` were written, so that the request is finished: a password guess counts although
    /// its result cannot be sent.
    fn record_write<R>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<R>>,
        everything: R,
    ) -> Poll<io::Result<R>> {
        self.activity.set_blocked(result.is_pending());
        if result.is_ready() && std::mem::take(&mut self.read_refused) {
            context.waker().wake_by_ref();
        }
        match result {
            Poll::Ready(Err(_)) if self.activity.in_flight() > 0 => Poll::Ready(Ok(everything)),
            result => result,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for MonitoredStream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.activity.is_blocked() {
            this.read_refused = true;
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        if let (_, octets @ [_, ..]) = buffer.filled_mut().split_at_mut(before)
            && this.protocol == Protocol::Http1
            && this.activity.record_received(octets)
        {
            accept_later_version(octets);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MonitoredStream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(context, octets);
        this.record_write(context, result, octets.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(context, parts);
        this.record_write(context, result, parts.iter().map(|part| part.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_flush(context);
        this.record_write(context, result, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, activity, protocol, lingering, .. } = self.get_mut();
        if lingering.is_none() {
            ready!(Pin::new(&mut *io).poll_shutdown(context))?;
        }
        let (left, timer) = lingering.get_or_insert_with(|| {
            let is_long = activity.has_unread() && *protocol == Protocol::Http1;
            let (octets, time) = if is_long { LINGER } else { SHORT_LINGER };
            (octets, Box::pin(sleep(time)))
        });
        while *left > 0 {
            let mut space = [MaybeUninit::uninit(); 16 << 10];
            let mut buffer = ReadBuf::uninit(&mut space);
            match Pin::new(&mut *io).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *left = left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => return timer.as_mut().poll(context).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Rewrites the version of a request of HTTP/1.2 or later, which hyper refuses, to HTTP/1.1. The
/// request line has to arrive in one piece, and not behind another request.
///
/// RFC 9110 §2.5: a recipient "SHOULD process the message as if it was in the highest minor version
/// within that major version to which the recipient is conformant."
fn accept_later_version(head: &mut [u8]) {
    let end = memchr::memchr(b'\n', head).unwrap_or(0);
    let line = head.get_mut(..end.saturating_sub(1)).unwrap_or_default();
    let is_request = line.first().is_some_and(u8::is_ascii_uppercase)
        && line.iter().filter(|octet| **octet == b' ').count() == 2;
    if is_request
        && let Some((minor @ b'2'..=b'9', before)) = line.split_last_mut()
        && before.ends_with(b" HTTP/1.")
    {
        *minor = b'1';
    }
}
