//! The call that is being answered, and its id.
//!
//! An id that nobody looks at costs nothing: it is made when something is logged, or when the answer is
//! to carry it.

use std::cell::OnceCell;
use std::future::Future;
use std::time::{Duration, Instant};

use super::trace::{Recorder, TraceParent};

tokio::task_local! {
    static CURRENT: Call;
}

/// What is known of a call, beside what it asks for.
#[derive(Debug, Default)]
pub struct Call {
    id: OnceCell<RequestId>,
    trace: Option<TraceParent>,
    recorder: Option<Recorder>,
}

/// What tells a call from others, in its log lines and in `X-Request-Id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Box<str>);

/// More would be no id, but a way to fill the log. A token is longer, so none gets into the log as one.
const LONGEST: usize = 64;

impl RequestId {
    /// An id that somebody else gave; `None` for what should not be put into a log.
    pub fn parse(text: &str) -> Option<Self> {
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(&byte);
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(sane);
        fits.then(|| Self(text.into()))
    }

    fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 16]>()).into())
    }

    /// As text; nothing in it has to be escaped, in JSON or in a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Call {
    /// A call with what its headers say. Its steps are timed for `recorder`, if there is one.
    pub fn new(
        id: Option<RequestId>,
        trace: Option<TraceParent>,
        recorder: Option<Recorder>,
    ) -> Self {
        Self { id: id.map(OnceCell::from).unwrap_or_default(), trace, recorder }
    }

    /// Makes this the call that is being answered while `future` runs.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Its id, which is made now if it has none.
    pub fn id(&self) -> &RequestId {
        self.id.get_or_init(RequestId::random)
    }

    /// Its id, if somebody gave or needed one.
    pub fn known_id(&self) -> Option<&RequestId> {
        self.id.get()
    }

    /// The trace that it belongs to.
    pub fn trace(&self) -> Option<TraceParent> {
        self.recorder.as_ref().map(Recorder::context).or(self.trace)
    }

    /// What times its steps.
    pub const fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }
}

/// Does something with the call that is being answered; `None` outside of all.
pub fn with_current<T>(look: impl FnOnce(&Call) -> T) -> Option<T> {
    CURRENT.try_with(look).ok()
}

/// Notes a step of the call that is being answered, which has just ended.
pub fn note_step(name: &'static str, started: Instant, took: Duration) {
    with_current(|call| {
        if let Some(recorder) = &call.recorder {
            recorder.note(name, started, took);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_plain() {
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
    async fn an_id_is_made_once_and_only_if_it_is_needed() {
        let call = Call::default();
        call.scope(async {
            assert!(with_current(|call| call.known_id().is_none()).unwrap());
            let first = with_current(|call| call.id().clone()).unwrap();
            tokio::task::yield_now().await;
            assert_eq!(with_current(|call| call.known_id().cloned()).unwrap(), Some(first));
        })
        .await;
        assert!(with_current(|_| ()).is_none());
    }
}
