//! A connection whose other side has to go on.
//!
//! Two things that a client may do would cost memory, or a connection, for as long as it likes. It
//! may send requests and read no answers: so nothing more is read from it while an answer waits to be
//! taken. And it may stop, in the middle of the head of a request or of an answer or elsewhere, perhaps
//! because it is no longer there: so it is given up when nothing has been written for some time. That is
//! longer than an idle connection is kept, so that nobody has to know here whether it is one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A connection that is given up in time.
pub(super) struct Guarded<T> {
    io: T,
    /// A byte waits to go out.
    blocked: bool,
    /// Nothing was read because of that, so whoever wanted to read has to be woken.
    refused: bool,
    /// How often something was written.
    written: u64,
    patience: Duration,
    /// Made when somebody first has to wait, and from then on set only when it has run out: nearly
    /// every answer is there at once, and no timer is touched for it.
    timer: Option<Pin<Box<Sleep>>>,
    /// Who is woken when it runs out: it is polled for somebody else only, or when it has.
    waker: Option<Waker>,
    /// `written` when the timer was set.
    then: u64,
}

impl<T> Guarded<T> {
    /// `patience` is for how long nothing may be written, and no answer may take as long; it may become up
    /// to twice as long. It is longer than an idle connection is kept.
    pub(super) const fn new(io: T, patience: Duration) -> Self {
        Self {
            io,
            blocked: false,
            refused: false,
            written: 0,
            patience,
            timer: None,
            waker: None,
            then: 0,
        }
    }

    /// Waits for the other side, but not for ever.
    fn wait<R>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        let (written, patience) = (self.written, self.patience);
        let timer = self.timer.get_or_insert_with(|| {
            self.then = written;
            Box::pin(sleep(patience))
        });
        // Every request comes by here once, before its answer.
        let is_set = self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if is_set && !timer.is_elapsed() {
            return Poll::Pending;
        }
        while timer.as_mut().poll(context).is_ready() {
            if self.then == written {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.then = written;
            timer.as_mut().reset(Instant::now() + patience);
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Notes how a write went.
    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if result.is_pending() {
            self.blocked = true;
            return self.wait(context);
        }
        self.written += 1;
        self.blocked = false;
        if std::mem::take(&mut self.refused) {
            context.waker().wake_by_ref();
        }
        result
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.blocked {
            this.refused = true;
            return this.wait(context);
        }
        let result = Pin::new(&mut this.io).poll_read(context, buffer);
        if result.is_pending() {
            return this.wait(context);
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(context, bytes);
        this.wrote(context, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(context, parts);
        this.wrote(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn pair() -> (Guarded<DuplexStream>, DuplexStream) {
        let (here, there) = duplex(4);
        (Guarded::new(here, PATIENCE), there)
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_in_the_middle_of_a_request_is_given_up() {
        let (mut io, mut client) = pair();
        client.write_all(b"GE").await.unwrap();
        let mut bytes = Vec::new();
        let error = io.read_to_end(&mut bytes).await.unwrap_err();
        assert_eq!((bytes.as_slice(), error.kind()), (&b"GE"[..], io::ErrorKind::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_is_given_up_as_well() {
        let (mut io, mut client) = pair();
        let dripping = async {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let started = Instant::now();
        let mut bytes = Vec::new();
        tokio::select! {
            read = io.read_to_end(&mut bytes) => assert!(read.is_err()),
            () = dripping => unreachable!("nobody closes"),
        }
        assert!(started.elapsed() <= 2 * PATIENCE, "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_no_answer_is_read_from_no_more_and_given_up() {
        let (mut io, mut client) = pair();
        client.write_all(b"xy").await.unwrap();
        let error = io.write_all(b"a long answer").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (mut io, mut client) = pair();
        client.write_all(b"xy").await.unwrap();
        let mut idle = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut io).poll_write(&mut idle, b"1234").is_ready());
        assert!(Pin::new(&mut io).poll_write(&mut idle, b"5").is_pending());
        let mut space = [0; 8];
        let mut buffer = ReadBuf::new(&mut space);
        assert!(Pin::new(&mut io).poll_read(&mut idle, &mut buffer).is_pending());
        assert!(buffer.filled().is_empty());
        // When it goes on, so do we, and whoever waits to read hears of it.
        client.read_exact(&mut [0; 4]).await.unwrap();
        let mut asked = false;
        poll_fn(|context| {
            if !asked {
                asked = true;
                assert!(Pin::new(&mut io).poll_write(context, b"5").is_ready());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        assert!(Pin::new(&mut io).poll_read(&mut idle, &mut buffer).is_ready());
        assert_eq!(buffer.filled(), b"xy");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_between_requests_is_given_up_later() {
        let (mut io, mut client) = pair();
        let mut question = [0; 3];
        let short = PATIENCE - Duration::from_secs(1);
        for _ in 0..3 {
            client.write_all(b"ask").await.unwrap();
            io.read_exact(&mut question).await.unwrap();
            io.write_all(b"yes").await.unwrap();
            client.read_exact(&mut question).await.unwrap();
            let silence = tokio::time::timeout(short, io.read_exact(&mut question)).await;
            assert!(silence.is_err(), "given up too soon");
        }
        let error = io.read_exact(&mut question).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
