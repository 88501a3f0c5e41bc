//! The body of a request, shared by the application and the connection.
//!
//! A client may read a response that precedes the end of its request (RFC 9112 §9.5,
//! RFC 9113 §8.1), but many lose it if the connection is closed or the stream reset at once. So the
//! connection keeps the body: it waits for a short one before it responds, and discards the rest of
//! a long one afterwards.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::error::PayloadError;
use actix_http::{BoxedPayloadStream, Payload};
use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::EXPECT;
use http::request::Parts;
use http::{Method, Version};
use hyper::body::{Body, Incoming};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::activity::InFlight;

/// Maximum octets of a request body that the server awaits before it responds, and maximum time.
const BEFORE_RESPONSE: (u64, Duration) = (256 << 10, Duration::from_secs(2));
/// Maximum octets of a request body that are discarded after the response, and maximum time.
const AFTER_RESPONSE: (u64, Duration) = (16 << 20, Duration::from_secs(5));

/// A request body that is not empty. Clones share the body.
#[derive(Clone)]
pub(super) struct RequestBody(Rc<SharedBody>);

struct SharedBody {
    incoming: RefCell<Incoming>,
    is_http2: bool,
    /// Whether the client waits for 100 (Continue), and nothing of the request body has been read.
    awaits_continue: Cell<bool>,
    /// Maximum time that the response waits for the rest of the request body.
    wait_limit: Duration,
    is_complete: Cell<bool>,
    /// Whether the end of the request body is uncertain, so that the next request cannot be found.
    is_malformed: Cell<bool>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, head: &Parts) -> Self {
        // RFC 9110 §9.3.1 gives a body no meaning here. nginx announces the body of the original
        // request in a subrequest, and sends none.
        let has_no_meaning = matches!(head.method, Method::GET | Method::HEAD);
        Self(Rc::new(SharedBody {
            incoming: RefCell::new(incoming),
            is_http2: head.version == Version::HTTP_2,
            awaits_continue: Cell::new(head.headers.contains_key(EXPECT)),
            wait_limit: if has_no_meaning { Duration::ZERO } else { BEFORE_RESPONSE.1 },
            is_complete: Cell::new(false),
            is_malformed: Cell::new(false),
        }))
    }

    /// Returns the body in the form in which the actix-web application reads it.
    pub(super) fn payload(&self) -> Payload {
        let payload: BoxedPayloadStream = Box::pin(self.clone());
        Payload::Stream { payload }
    }

    /// Returns whether the body is read to its end, so that the next request can follow.
    pub(super) fn is_complete(&self) -> bool {
        self.0.is_complete.get() && !self.0.is_malformed.get()
    }

    /// Waits for the rest of a short body that the application has not read, unless the application
    /// has waited for it in vain (`is_late`). Returns whether the connection can be kept; if the
    /// body is not complete by then, it is discarded after the response.
    pub(super) async fn finish(self, is_late: bool, in_flight: &Rc<InFlight>) -> bool {
        let awaits_continue = self.0.awaits_continue.get();
        let is_long = self.0.incoming.borrow().size_hint().lower() > BEFORE_RESPONSE.0;
        if !awaits_continue && !is_late && !is_long {
            self.clone().discard((BEFORE_RESPONSE.0, self.0.wait_limit)).await;
        }
        if self.is_complete() {
            return true;
        }
        let may_never_come = awaits_continue || self.0.wait_limit.is_zero();
        if self.0.is_http2 || (!may_never_come && !self.0.is_malformed.get()) {
            let in_flight = Rc::clone(in_flight);
            spawn_local(async move {
                self.discard(AFTER_RESPONSE).await;
                drop(in_flight);
            });
        }
        in_flight.leave_body();
        false
    }

    /// Reads and discards the rest of the body, up to a number of octets and a time limit.
    async fn discard(mut self, (mut octets, time): (u64, Duration)) {
        let reading = async {
            while let Some(Ok(chunk)) = self.next().await {
                octets = octets.saturating_sub(chunk.len() as u64);
                if octets == 0 {
                    break;
                }
            }
        };
        // `is_complete` tells the result.
        let _ = timeout(time, reading).await;
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let shared = &self.0;
        if shared.is_complete.get() {
            return Poll::Ready(None);
        }
        let mut incoming = shared.incoming.borrow_mut();
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(context));
        shared.awaits_continue.set(false);
        match frame.map(|frame| frame.map(|frame| frame.into_data())) {
            Some(Ok(Ok(data))) => {
                shared.is_complete.set(incoming.is_end_stream());
                return Poll::Ready(Some(Ok(data)));
            }
            // Trailer fields. Deviation: RFC 9110 §6.5.1 allows to discard them. hyper ends a
            // trailer section at an empty line that ends with CR LF. After a bare LF, that can be
            // inside the next request.
            // Test: `bare_lf_in_trailer_section_hides_no_request`.
            Some(Ok(Err(_))) if !shared.is_http2 => shared.is_malformed.set(true),
            Some(Err(_)) => shared.is_malformed.set(!shared.is_http2),
            _ => {
                shared.is_complete.set(true);
                return Poll::Ready(None);
            }
        }
        shared.is_complete.set(true);
        Poll::Ready(Some(Err(PayloadError::Incomplete(None))))
    }
}
