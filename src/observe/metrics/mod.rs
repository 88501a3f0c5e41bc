//! Metrics for Prometheus.
//!
//! Counting is one or two relaxed atomic additions, without a lock or a look-up, because all labels
//! are resolved at the start. If metrics are disabled, none of this exists. `docs/metrics.md` lists
//! all metrics, and a test compares it.

mod families;
mod histogram;
mod operation;
mod process;
mod redis;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use families::{Cache, Endpoints, Passwords, Store, Throttled, Tokens};
pub use histogram::Histogram;
pub use operation::Operation;
pub use redis::Redis;
use text::Text;

/// A counter, which only increases.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the current count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters with two labels whose values are known in advance.
#[derive(Debug)]
pub struct Table {
    columns: usize,
    cells: Box<[Counter]>,
}

impl Table {
    /// Creates the counters with a count of zero.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { columns, cells: (0..rows * columns).map(|_| Counter::default()).collect() }
    }

    /// Adds one to the counter in this row and column.
    pub fn increment(&self, row: usize, column: usize) {
        if let Some(counter) = self.cells.get(row * self.columns + column) {
            counter.increment();
        }
    }

    fn get(&self, row: usize, column: usize) -> u64 {
        self.cells.get(row * self.columns + column).map_or(0, Counter::get)
    }
}

/// Function that returns the current value of a gauge.
pub type Gauge = Box<dyn Fn() -> usize + Send + Sync>;

/// Function that returns a time in seconds since the Unix epoch, if it is known.
pub type Moment = Box<dyn Fn() -> Option<i64> + Send + Sync>;

/// All metrics of this process.
pub struct Metrics {
    endpoints: Mutex<Vec<Arc<Endpoints>>>,
    queue: Mutex<Option<Queue>>,
    certificate: Mutex<Option<Moment>>,
    /// Token requests.
    pub tokens: Tokens,
    /// Password hashing.
    pub passwords: Arc<Passwords>,
    /// Store operations.
    pub store: Arc<Store>,
    /// The cache in front of the store.
    pub cache: Arc<Cache>,
    /// Availability of Redis, and failed calls.
    pub redis: Arc<Redis>,
    /// Attempts that were rejected by a rate limit.
    pub throttled: Arc<Throttled>,
    started: u64,
}

/// The queue of the hashing workers.
struct Queue {
    depth: Gauge,
    capacity: usize,
}

impl Metrics {
    /// Creates the metrics with counts of zero. `started` is the start of the process in seconds
    /// since the Unix epoch.
    pub fn new(grants: &'static [&'static str], outcomes: Vec<&'static str>, started: u64) -> Self {
        Self {
            endpoints: Mutex::default(),
            queue: Mutex::default(),
            certificate: Mutex::default(),
            tokens: Tokens::new(grants, outcomes),
            passwords: Arc::default(),
            store: Arc::default(),
            cache: Arc::default(),
            redis: Arc::default(),
            throttled: Arc::default(),
            started,
        }
    }

    /// Creates the counters of one I/O thread. Each thread has its own, so that threads do not
    /// contend for cache lines.
    pub fn endpoints(&self, names: &'static [&'static str]) -> Arc<Endpoints> {
        let of_thread = Arc::new(Endpoints::new(names));
        let mut all = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::clone(&of_thread));
        of_thread
    }

    /// Sets the source of the hashing queue's metrics.
    pub fn watch_queue(&self, depth: Gauge, capacity: usize) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        *queue = Some(Queue { depth, capacity });
    }

    /// Sets the source of the expiration time of the certificate in use.
    pub fn watch_certificate(&self, not_after: Moment) {
        let mut certificate = self.certificate.lock().unwrap_or_else(PoisonError::into_inner);
        *certificate = Some(not_after);
    }

    /// Renders all metrics in the text format of Prometheus, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = Text::default();
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        Endpoints::write(&endpoints, &mut text);
        drop(endpoints);
        self.tokens.write(&mut text);
        self.passwords.write(&mut text);
        if let Some(queue) = &*self.queue.lock().unwrap_or_else(PoisonError::into_inner) {
            let name = "sentinel_password_queue_depth";
            text.family(name, "gauge", "Passwords that wait for a hashing worker.");
            text.sample(name, &[], (queue.depth)());
            let name = "sentinel_password_queue_capacity";
            text.family(name, "gauge", "How many may wait before calls are answered 503.");
            text.sample(name, &[], queue.capacity);
        }
        self.store.write(&mut text);
        self.cache.write(&mut text);
        self.redis.write(&mut text);
        self.throttled.write(&mut text);
        let name = "sentinel_tls_certificate_not_after_timestamp_seconds";
        text.family(name, "gauge", "Until when the certificate is valid, since the Unix epoch.");
        let certificate = self.certificate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(not_after) = certificate.as_ref().and_then(|not_after| not_after()) {
            text.sample(name, &[], not_after);
        }
        drop(certificate);
        let name = "sentinel_build_info";
        text.family(name, "gauge", "Always 1; the version is in the label.");
        text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        process::write(&mut text, self.started);
        text.into_string()
    }
}
