//! Metrics for Prometheus. `docs/metrics.md` lists them, and a test compares it.
//!
//! [`Metrics::new`] declares the metrics that are updated. A new one is declared there, and gets a
//! field in the struct of the component that updates it. Gauges that are read at a scrape are
//! declared in `watch_…`, and those of the process in `process.rs`.
//! If metrics are disabled, none of this exists.
//!
//! Introspection and verify need a few microseconds, so an update of their metrics must not hash
//! labels, take a lock or allocate. The metric of each combination of labels is resolved at the
//! start, or once when it is first needed if unused ones are not shown.

mod operation;
mod process;
mod registry;

use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

pub use operation::Operation;
pub use registry::Gauge;
use registry::{pull, register};

/// Upper bounds of the buckets of all histograms, in seconds: from a store look-up by key to the
/// longest wait.
const BUCKETS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 10.0,
];

/// HTTP status codes that have a label of their own in metrics. All others count as "other".
const STATUSES: [u16; 21] = [
    200, 201, 204, 206, 303, 304, 400, 401, 403, 404, 405, 406, 408, 409, 412, 413, 415, 422, 429,
    500, 503,
];

/// All metrics of this process.
pub struct Metrics {
    registry: Registry,
    http_requests: IntCounterVec,
    http_durations: HistogramVec,
    queue_capacity: IntGauge,
    /// Metrics of token requests.
    pub tokens: TokenMetrics,
    /// Metrics of password hashing.
    pub passwords: Arc<PasswordMetrics>,
    /// Metrics of store operations.
    pub store: Arc<StoreMetrics>,
    /// Metrics of look-ups in the introspection cache in Redis, which is asked before the store.
    pub cache: Arc<CacheMetrics>,
    /// Metrics of failed calls to Redis.
    pub redis: Arc<RedisMetrics>,
    /// Metrics of attempts to authenticate that were rejected by a rate limit.
    pub throttled: Arc<RateLimitMetrics>,
    /// Number of log lines that were not written, because standard error fails or is not read.
    pub dropped_log_lines: IntCounter,
}

impl Metrics {
    /// Creates the metrics with counts of zero. `grants` and `outcomes` are the label values of
    /// token requests; the last grant stands for unknown ones. `started` is the start of the
    /// process in seconds since the Unix epoch.
    pub fn new(grants: &'static [&'static str], outcomes: &[&str], started: i64) -> Self {
        let registry = Registry::new();
        let counter = |name, help| register(&registry, IntCounter::new(name, help));
        let counters = |name, help, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name, help| register(&registry, IntGauge::new(name, help));
        let buckets = |name, help| HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
        let histogram = |name, help| register(&registry, Histogram::with_opts(buckets(name, help)));
        let histograms = |name, help, labels: &[&str]| {
            register(&registry, HistogramVec::new(buckets(name, help), labels))
        };

        let http_requests = counters(
            "sentinel_http_requests_total",
            "Answered requests, by route and status.",
            &["route", "status"],
        );
        let http_durations = histograms(
            "sentinel_http_request_duration_seconds",
            "Time from the head of a request to the head of its response.",
            &["route"],
        );
        let token_requests = counters(
            "sentinel_token_requests_total",
            "Token requests, by grant and outcome.",
            &["grant", "outcome"],
        );
        let queue_capacity = gauge(
            "sentinel_password_queue_capacity",
            "Maximum number of passwords that may wait for a hashing worker.",
        );
        let passwords = PasswordMetrics {
            waited: histogram(
                "sentinel_password_queue_wait_seconds",
                "Time that a password waited for a hashing worker.",
            ),
            hashed: histogram(
                "sentinel_password_hash_seconds",
                "Time that hashing a password took.",
            ),
            refused: counter(
                "sentinel_password_queue_full_total",
                "Requests answered 503 because the hashing queue was full.",
            ),
        };
        let store = StoreMetrics {
            durations: histograms(
                "sentinel_store_operation_duration_seconds",
                "Duration of store operations.",
                &["of", "operation"],
            ),
            failures: counters(
                "sentinel_store_failures_total",
                "Failed store operations.",
                &["of", "operation"],
            ),
            used: [const { OnceLock::new() }; Operation::COUNT],
        };
        let lookups = counters(
            "sentinel_cache_lookups_total",
            "Look-ups in the introspection cache, by outcome.",
            &["outcome"],
        );
        let cache = CacheMetrics {
            hits: lookups.with_label_values(&["hit"]),
            misses: lookups.with_label_values(&["miss"]),
            failures: lookups.with_label_values(&["failure"]),
            times: histogram(
                "sentinel_cache_lookup_duration_seconds",
                "Time that Redis took for a look-up.",
            ),
        };
        let failures =
            counters("sentinel_redis_failures_total", "Failed calls to Redis, by cause.", &["why"]);
        let redis = RedisMetrics {
            down: failures.with_label_values(&["down"]),
            connect: failures.with_label_values(&["connect"]),
            answer: failures.with_label_values(&["answer"]),
            refused: failures.with_label_values(&["refused"]),
        };
        let throttled = counters(
            "sentinel_throttled_requests_total",
            "Attempts rejected by a rate limit, by the budget that was spent.",
            &["by"],
        );
        let throttled = RateLimitMetrics {
            address: throttled.with_label_values(&["address"]),
            user: throttled.with_label_values(&["user"]),
            client: throttled.with_label_values(&["client"]),
        };
        let dropped_log_lines = counter(
            "sentinel_log_lines_dropped_total",
            "Log lines that were dropped, because standard error was full, closed or not read.",
        );
        let build = Opts::new("sentinel_build_info", "Always 1; the label has the version.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        register(&registry, IntGauge::with_opts(build)).set(1);
        gauge("process_start_time_seconds", "Start of the process, since the Unix epoch.")
            .set(started);
        process::register_all(&registry);

        Self {
            http_requests,
            http_durations,
            queue_capacity,
            tokens: TokenMetrics::new(token_requests, grants, outcomes),
            passwords: Arc::new(passwords),
            store: Arc::new(store),
            cache: Arc::new(cache),
            redis: Arc::new(redis),
            throttled: Arc::new(throttled),
            dropped_log_lines,
            registry,
        }
    }

    /// Adds the depth and the capacity of the queue of passwords that wait to be hashed.
    pub fn watch_queue(&self, depth: Gauge, capacity: usize) {
        self.queue_capacity.set(i64::try_from(capacity).unwrap_or(i64::MAX));
        pull(
            &self.registry,
            "sentinel_password_queue_depth",
            "Passwords that wait for a hashing worker.",
            depth,
        );
    }

    /// Adds the expiration time of the TLS certificate in use, in seconds since the Unix epoch.
    pub fn watch_certificate(&self, not_after: Gauge) {
        pull(
            &self.registry,
            "sentinel_tls_certificate_not_after_timestamp_seconds",
            "End of the validity of the certificate in use, since the Unix epoch.",
            not_after,
        );
    }

    /// Adds a gauge of the availability of Redis: 1 if Redis answered the last call, otherwise 0.
    pub fn watch_redis(&self, up: Gauge) {
        pull(
            &self.registry,
            "sentinel_redis_up",
            "Whether Redis answered the last call to it.",
            up,
        );
    }

    /// Adds gauges of the memory of Redis, used and at most, in bytes.
    pub fn watch_redis_memory(&self, used: Gauge, max: Gauge) {
        let (used_name, max_name) =
            ("sentinel_redis_memory_used_bytes", "sentinel_redis_memory_max_bytes");
        pull(&self.registry, used_name, "Memory that Redis uses.", used);
        pull(&self.registry, max_name, "Maximum memory of Redis, 0 without one.", max);
    }

    /// Returns the metrics of the HTTP endpoints with these names, for one I/O thread.
    pub fn endpoints(&self, names: &[&'static str]) -> Vec<EndpointMetrics> {
        let endpoint = |name: &&'static str| EndpointMetrics {
            name,
            requests: self.http_requests.clone(),
            by_status: [const { OnceCell::new() }; STATUSES.len() + 1],
            durations: self.http_durations.with_label_values(&[name]),
        };
        names.iter().map(endpoint).collect()
    }

    /// Renders all metrics in the text format of Prometheus, version 0.0.4.
    #[expect(clippy::expect_used, reason = "a registry returns no family without name or samples")]
    pub fn render(&self) -> String {
        let families = self.registry.gather();
        TextEncoder::new().encode_to_string(&families).expect("the families are valid")
    }
}

/// Metrics of the requests to one HTTP endpoint, counted by one I/O thread.
pub struct EndpointMetrics {
    name: &'static str,
    requests: IntCounterVec,
    by_status: [OnceCell<IntCounter>; STATUSES.len() + 1],
    durations: Histogram,
}

impl EndpointMetrics {
    /// Records a completed HTTP request. A status code is shown from its first occurrence.
    pub fn answered(&self, status: u16, took: Duration) {
        let index = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
        if let Some(counter) = self.by_status.get(index) {
            let resolve = || {
                let status = STATUSES.get(index).map_or("other".to_owned(), u16::to_string);
                self.requests.with_label_values(&[self.name, &status])
            };
            counter.get_or_init(resolve).inc();
        }
        self.durations.observe(took.as_secs_f64());
    }
}

/// Metrics of token requests, by grant type and outcome.
pub struct TokenMetrics {
    grants: &'static [&'static str],
    requests: IntCounterVec,
}

impl TokenMetrics {
    fn new(requests: IntCounterVec, grants: &'static [&'static str], outcomes: &[&str]) -> Self {
        for grant in grants {
            for outcome in outcomes {
                requests.with_label_values(&[grant, outcome]);
            }
        }
        Self { grants, requests }
    }

    /// Records a completed token request. An unknown grant type counts as the last known one,
    /// "other".
    pub fn answered(&self, grant: &str, outcome: &str) {
        let known = self.grants.iter().find(|known| **known == grant).or(self.grants.last());
        if let Some(grant) = known {
            self.requests.with_label_values(&[grant, outcome]).inc();
        }
    }
}

/// Metrics of password hashing.
pub struct PasswordMetrics {
    /// Time that a password waited in the queue for a hashing worker, in seconds.
    pub waited: Histogram,
    /// Time that hashing a password took, in seconds.
    pub hashed: Histogram,
    /// Number of passwords rejected because the hashing queue was full.
    pub refused: IntCounter,
}

/// Metrics of store operations: durations and failures.
pub struct StoreMetrics {
    durations: HistogramVec,
    failures: IntCounterVec,
    used: [OnceLock<(Histogram, IntCounter)>; Operation::COUNT],
}

impl StoreMetrics {
    /// Records a completed store operation. An operation is shown from its first call.
    pub fn done(&self, operation: Operation, took: Duration, failed: bool) {
        let Some(used) = self.used.get(operation as usize) else { return };
        let (durations, failures) = used.get_or_init(|| {
            let labels = operation.labels();
            (self.durations.with_label_values(&labels), self.failures.with_label_values(&labels))
        });
        durations.observe(took.as_secs_f64());
        if failed {
            failures.inc();
        }
    }
}

/// Metrics of look-ups in the introspection cache in Redis.
pub struct CacheMetrics {
    /// Number of look-ups of sessions that the introspection cache in Redis answered.
    pub hits: IntCounter,
    /// Number of look-ups that the cache in Redis could not answer, so that they went to the store.
    pub misses: IntCounter,
    /// Number of look-ups that went to the store because Redis failed or its copies may be stale.
    pub failures: IntCounter,
    /// Duration of a look-up in the introspection cache in Redis, in seconds.
    pub times: Histogram,
}

/// Numbers of failed calls to Redis, by cause. Successful calls are not counted.
pub struct RedisMetrics {
    /// Number of calls to Redis that were not sent, because Redis was known to be unavailable.
    pub down: IntCounter,
    /// Number of calls to Redis for which no connection could be opened.
    pub connect: IntCounter,
    /// Number of calls to Redis that timed out, lost the connection, or could not be served at all.
    pub answer: IntCounter,
    /// Number of calls that Redis rejected with an error, although it can serve others.
    pub refused: IntCounter,
}

/// Numbers of attempts to authenticate that were rejected by a rate limit.
pub struct RateLimitMetrics {
    /// Number of attempts rejected because the caller's address has spent its budget of failures,
    /// or too many attempts from the address wait.
    pub address: IntCounter,
    /// Number of attempts rejected because the user name is under attack (many recent failures) and
    /// the attempt was not admitted in time.
    pub user: IntCounter,
    /// Number of requests rejected because the caller's address has sent too many wrong secrets.
    pub client: IntCounter,
}
