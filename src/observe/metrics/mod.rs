//! What Prometheus reads. Counting is a relaxed addition or two, without a lock or a look-up: every
//! label is resolved when the server starts. Where metrics are switched off, nothing of this is there.
//!
//! `docs/metrics.md` lists them all; a test holds it.

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

/// Goes up only.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters by two labels, whose values are known beforehand.
#[derive(Debug)]
pub struct Table {
    columns: usize,
    cells: Box<[Counter]>,
}

impl Table {
    /// All zero.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { columns, cells: (0..rows * columns).map(|_| Counter::default()).collect() }
    }

    /// One more there.
    pub fn increment(&self, row: usize, column: usize) {
        if let Some(counter) = self.cells.get(row * self.columns + column) {
            counter.increment();
        }
    }

    fn get(&self, row: usize, column: usize) -> u64 {
        self.cells.get(row * self.columns + column).map_or(0, Counter::get)
    }
}

/// Reads a number when it is asked for.
pub type Gauge = Box<dyn Fn() -> usize + Send + Sync>;

/// Reads a moment when it is asked for, in seconds since the Unix epoch.
pub type Moment = Box<dyn Fn() -> Option<i64> + Send + Sync>;

/// Everything that is counted in this process.
pub struct Metrics {
    endpoints: Mutex<Vec<Arc<Endpoints>>>,
    queue: Mutex<Option<Queue>>,
    certificate: Mutex<Option<Moment>>,
    /// Requests for tokens.
    pub tokens: Tokens,
    /// Hashing.
    pub passwords: Arc<Passwords>,
    /// The store.
    pub store: Arc<Store>,
    /// The cache in front of it.
    pub cache: Arc<Cache>,
    /// The server that the cache is in, and more.
    pub redis: Arc<Redis>,
    /// What guessing is slowed by.
    pub throttled: Arc<Throttled>,
    started: u64,
}

/// The queue of the hashing workers.
struct Queue {
    depth: Gauge,
    capacity: usize,
}

impl Metrics {
    /// Nothing has happened yet. `started` is in seconds since the Unix epoch.
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

    /// What one I/O thread counts by itself, so that none waits for another's cache line.
    pub fn endpoints(&self, names: &'static [&'static str]) -> Arc<Endpoints> {
        let of_thread = Arc::new(Endpoints::new(names));
        let mut all = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::clone(&of_thread));
        of_thread
    }

    /// The queue to look at.
    pub fn watch_queue(&self, depth: Gauge, capacity: usize) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        *queue = Some(Queue { depth, capacity });
    }

    /// Until when the certificate is valid that is shown.
    pub fn watch_certificate(&self, not_after: Moment) {
        let mut certificate = self.certificate.lock().unwrap_or_else(PoisonError::into_inner);
        *certificate = Some(not_after);
    }

    /// All of it, in the text format of Prometheus, version 0.0.4.
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
