//! Context of the current request, with its id.
//!
//! An id is generated only when a log line or the response needs it, so an unused id costs nothing.

use std::cell::OnceCell;
use std::future::Future;
use std::time::{Duration, Instant};

use super::trace::{Recorder, SpanContext};
use crate::domain::random_bytes;

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// Per-request context for log lines and traces.
#[derive(Debug, Default)]
pub struct RequestContext {
    id: OnceCell<RequestId>,
    parent: Option<SpanContext>,
    recorder: Option<Recorder>,
}

/// Id of a request, as in log lines and in `X-Request-Id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Box<str>);

/// Maximum length of a request id from a caller, in bytes. Longer ones could be used to fill the
/// log. Sentinel's own tokens are longer, so none is logged as an id.
const LONGEST: usize = 64;

impl RequestId {
    /// Parses a request id from a caller. Returns `None` for a text that must not be logged.
    pub fn parse(text: &str) -> Option<Self> {
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(&byte);
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(sane);
        fits.then(|| Self(text.into()))
    }

    /// Generates a random request id: zeros if the operating system supplies no random bytes, since
    /// a request is answered whether or not it can be found in the log.
    fn random() -> Self {
        Self(hex::encode(random_bytes::<16>().unwrap_or_default()).into())
    }

    /// Returns the request id as text, which needs no escaping in JSON or in a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RequestContext {
    /// Creates the context of a request from its id and the caller's span, if the request has them.
    /// A `recorder` records the timed steps of a traced request.
    pub fn new(
        id: Option<RequestId>,
        parent: Option<SpanContext>,
        recorder: Option<Recorder>,
    ) -> Self {
        Self { id: id.map(OnceCell::from).unwrap_or_default(), parent, recorder }
    }

    /// Runs `future` with this request context, from which log lines take the request and trace id.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Returns the request id. Generates an id if the request has none.
    pub fn id(&self) -> &RequestId {
        self.id.get_or_init(RequestId::random)
    }

    /// Returns the request id if an id was received or has been generated.
    pub fn known_id(&self) -> Option<&RequestId> {
        self.id.get()
    }

    /// Returns the context of the caller's span, if the request names one.
    pub const fn parent(&self) -> Option<&SpanContext> {
        self.parent.as_ref()
    }

    /// Returns the trace context of the request: that of its own span if the request is traced,
    /// otherwise that of the caller's span, if any.
    pub fn trace(&self) -> Option<&SpanContext> {
        self.recorder.as_ref().map(Recorder::context).or(self.parent())
    }

    /// Returns the recorder of the request's steps, if the request is traced.
    pub const fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }
}

/// Passes the current request's context to `look` and returns the result; `None` outside a request.
pub fn with_current<T>(look: impl FnOnce(&RequestContext) -> T) -> Option<T> {
    CURRENT.try_with(look).ok()
}

/// Records a timed step (such as a store look-up) of the current request, if it is traced.
pub fn record_step(name: &'static str, started: Instant, took: Duration) {
    with_current(|request| {
        if let Some(recorder) = &request.recorder {
            recorder.record(name, started, took);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_id_accepts_at_most_64_plain_characters() {
        let longest = "a".repeat(64);
        for good in ["a", "4f2d-_.:+/=@Z", &longest] {
            assert_eq!(RequestId::parse(good).unwrap().as_str(), good);
        }
        let longer = "a".repeat(65);
        for bad in ["", " a", "a b", "a\"", "a\\", "a\n", "ä", "a;b", "<a>", &longer] {
            assert_eq!(RequestId::parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn request_id_is_generated_once_on_first_use() {
        let request = RequestContext::default();
        request
            .scope(async {
                assert!(with_current(|request| request.known_id().is_none()).unwrap());
                let first = with_current(|request| request.id().clone()).unwrap();
                tokio::task::yield_now().await;
                assert_eq!(
                    with_current(|request| request.known_id().cloned()).unwrap(),
                    Some(first)
                );
            })
            .await;
        assert!(with_current(|_| ()).is_none());
    }
}
