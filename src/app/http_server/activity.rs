//! The state of a connection, and the deadline that follows from it.
//!
//! Events only record the time; the one timer of the connection asks for the deadline when it
//! fires.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// Maximum time that an idle connection is kept, and that a write may wait for the client: longer
/// than nginx keeps its own idle connections (60 s), so that the proxy closes them and no request
/// meets a closing connection.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// State of one connection that its stream, its requests and its timer share.
pub(super) struct ConnectionActivity {
    /// Number of requests on the connection whose body or response is not complete.
    in_flight: Cell<u32>,
    /// Whether no request has arrived on the connection yet.
    is_new: Cell<bool>,
    /// Whether part of the next request head has arrived since the last request.
    has_begun: Cell<bool>,
    /// Whether a write on the connection waits for the client to read.
    is_blocked: Cell<bool>,
    /// Whether the last response on the connection did not wait for the body of its request.
    left_body: Cell<bool>,
    /// Time at which the connection's state last changed, from which the client's time limit runs.
    since: Cell<Instant>,
}

impl ConnectionActivity {
    /// Creates the state of a connection that awaits its first request.
    pub(super) fn start() -> Rc<Self> {
        Rc::new(Self {
            in_flight: Cell::new(0),
            is_new: Cell::new(true),
            has_begun: Cell::new(false),
            is_blocked: Cell::new(false),
            left_body: Cell::new(false),
            since: Cell::new(Instant::now()),
        })
    }

    /// Restarts, at `now`, the time limit within which the client must make progress.
    pub(super) fn restart(&self, now: Instant) {
        self.since.set(now);
    }

    /// Returns the time by which the client must have made progress; `None` while the application
    /// is at work, which has time limits of its own. `limit` applies to a request head and to a
    /// connection that is being shut down, [`KEEP_ALIVE`] otherwise.
    pub(super) fn deadline(&self, limit: Duration, is_shutting_down: bool) -> Option<Instant> {
        if self.in_flight.get() > 0 && !self.is_blocked.get() {
            return None;
        }
        let awaits_head = self.is_new.get() || self.has_begun.get();
        let is_short = (awaits_head && !self.is_blocked.get()) || is_shutting_down;
        // No deadline either for a setting beyond what the clock can represent.
        self.since.get().checked_add(if is_short { limit } else { KEEP_ALIVE })
    }

    /// Returns whether the connection is between two requests, so that it may be closed silently.
    pub(super) const fn is_idle(&self) -> bool {
        let is_waiting = self.is_new.get() || self.has_begun.get() || self.is_blocked.get();
        self.in_flight.get() == 0 && !is_waiting
    }

    /// Returns the number of requests in progress on the connection.
    pub(super) const fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// Returns whether a write on the connection waits for the client to read.
    pub(super) const fn is_blocked(&self) -> bool {
        self.is_blocked.get()
    }

    /// Returns whether part of a request on the connection may not have been read.
    pub(super) const fn has_unread(&self) -> bool {
        self.has_begun.get() || self.left_body.get()
    }

    /// Records octets that have arrived; returns whether they are the first of a request head. RFC
    /// 9112 §2.2: empty lines before a request are ignored.
    pub(super) fn record_received(&self, octets: &[u8]) -> bool {
        let is_empty = octets.iter().all(|octet| b"\r\n".contains(octet));
        if self.in_flight.get() > 0 || is_empty || self.has_begun.replace(true) {
            return false;
        }
        if !self.is_new.get() {
            self.restart(Instant::now());
        }
        true
    }

    /// Records whether a write on the connection waits for the client to read.
    pub(super) fn set_blocked(&self, is_blocked: bool) {
        if self.is_blocked.replace(is_blocked) != is_blocked {
            self.restart(Instant::now());
        }
    }
}

/// A request in progress on a connection. Dropping the value counts the request as finished.
pub(super) struct InFlight {
    activity: Rc<ConnectionActivity>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl InFlight {
    pub(super) fn start(
        activity: &Rc<ConnectionActivity>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Rc<Self> {
        activity.in_flight.set(activity.in_flight.get() + 1);
        activity.is_new.set(false);
        activity.has_begun.set(false);
        Rc::new(Self { activity: Rc::clone(activity), _permit: permit })
    }

    /// Records that the response does not wait for the request body, and that the connection is
    /// closed after the response.
    pub(super) fn leave_body(&self) {
        self.activity.left_body.set(true);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.in_flight.set(self.activity.in_flight.get() - 1);
        self.activity.restart(Instant::now());
    }
}
