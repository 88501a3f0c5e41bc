//! Metrics that are specific to Sentinel, by part of the server.

use std::sync::Arc;
use std::time::Duration;

use super::histogram::{Histogram, Sum};
use super::operation::Operation;
use super::text::Text;
use super::{Counter, Table};

/// Status codes with a label of their own. All others count as 0, "other".
const STATUSES: [(u16, &str); 22] = [
    (0, "other"),
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (206, "206"),
    (303, "303"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (408, "408"),
    (409, "409"),
    (412, "412"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (429, "429"),
    (500, "500"),
    (503, "503"),
];

/// HTTP requests, by endpoint.
#[derive(Debug)]
pub struct Endpoints {
    names: &'static [&'static str],
    calls: Table,
    times: Box<[Histogram]>,
}

impl Endpoints {
    pub(super) fn new(names: &'static [&'static str]) -> Self {
        let times = names.iter().map(|_| Histogram::default()).collect();
        Self { names, calls: Table::new(names.len(), STATUSES.len()), times }
    }

    /// Records a completed request.
    pub fn answered(&self, endpoint: usize, status: u16, took: Duration) {
        let column = STATUSES.iter().position(|(known, _)| *known == status).unwrap_or(0);
        self.calls.increment(endpoint, column);
        if let Some(times) = self.times.get(endpoint) {
            times.observe(took);
        }
    }

    /// Writes the sums over all I/O threads. A status that an endpoint has never returned is
    /// omitted.
    pub(super) fn write(all: &[Arc<Self>], text: &mut Text) {
        let names = all.first().map_or(&[][..], |first| first.names);
        let name = "sentinel_http_requests_total";
        text.family(name, "counter", "Calls that were answered.");
        for (row, route) in names.iter().enumerate() {
            for (column, (_, status)) in STATUSES.iter().enumerate() {
                let count: u64 = all.iter().map(|one| one.calls.get(row, column)).sum();
                if count > 0 {
                    text.sample(name, &[("route", route), ("status", status)], count);
                }
            }
        }
        let name = "sentinel_http_request_duration_seconds";
        text.family(name, "histogram", "From the head of a call to the head of its answer.");
        for (row, route) in names.iter().enumerate() {
            let mut sum = Sum::default();
            all.iter().filter_map(|one| one.times.get(row)).for_each(|times| sum.add(times));
            text.histogram(name, &[("route", route)], &sum);
        }
    }
}

/// Token requests, by grant type and outcome.
#[derive(Debug)]
pub struct Tokens {
    grants: &'static [&'static str],
    outcomes: Vec<&'static str>,
    requests: Table,
}

impl Tokens {
    pub(super) fn new(grants: &'static [&'static str], outcomes: Vec<&'static str>) -> Self {
        let requests = Table::new(grants.len(), outcomes.len());
        Self { grants, outcomes, requests }
    }

    /// Records a completed token request. An unknown grant type counts as the last one.
    pub fn answered(&self, grant: &str, outcome: &str) {
        let last = self.grants.len().saturating_sub(1);
        let row = self.grants.iter().position(|known| *known == grant).unwrap_or(last);
        if let Some(column) = self.outcomes.iter().position(|known| *known == outcome) {
            self.requests.increment(row, column);
        }
    }

    pub(super) fn write(&self, text: &mut Text) {
        let name = "sentinel_token_requests_total";
        text.family(name, "counter", "Requests for tokens, by grant and outcome.");
        for (row, grant) in self.grants.iter().enumerate() {
            for (column, outcome) in self.outcomes.iter().enumerate() {
                let count = self.requests.get(row, column);
                text.sample(name, &[("grant", grant), ("outcome", outcome)], count);
            }
        }
    }
}

/// Password hashing.
#[derive(Debug, Default)]
pub struct Passwords {
    /// Time from queueing a job to its start.
    pub waited: Histogram,
    /// Duration of a job.
    pub hashed: Histogram,
    /// Jobs rejected because the queue was full.
    pub refused: Counter,
}

impl Passwords {
    pub(super) fn write(&self, text: &mut Text) {
        for (name, help, times) in [
            (
                "sentinel_password_queue_wait_seconds",
                "How long passwords have waited for a hashing worker.",
                &self.waited,
            ),
            ("sentinel_password_hash_seconds", "How long hashing one took.", &self.hashed),
        ] {
            text.family(name, "histogram", help);
            let mut sum = Sum::default();
            sum.add(times);
            text.histogram(name, &[], &sum);
        }
        let name = "sentinel_password_queue_full_total";
        text.family(name, "counter", "Calls that were answered 503 because the queue was full.");
        text.sample(name, &[], self.refused.get());
    }
}

/// Store operations.
#[derive(Debug)]
pub struct Store {
    times: [Histogram; Operation::COUNT],
    failures: [Counter; Operation::COUNT],
}

impl Default for Store {
    fn default() -> Self {
        let times = std::array::from_fn(|_| Histogram::default());
        Self { times, failures: std::array::from_fn(|_| Counter::default()) }
    }
}

impl Store {
    /// Records a completed operation.
    pub fn done(&self, operation: Operation, took: Duration, failed: bool) {
        let operation = operation as usize;
        if let Some(times) = self.times.get(operation) {
            times.observe(took);
        }
        if failed && let Some(failures) = self.failures.get(operation) {
            failures.increment();
        }
    }

    /// Writes the metrics. Operations that were never called are omitted.
    pub(super) fn write(&self, text: &mut Text) {
        let sums = self.times.iter().map(|times| {
            let mut sum = Sum::default();
            sum.add(times);
            sum
        });
        let used: Vec<_> = Operation::NAMES
            .iter()
            .zip(sums)
            .zip(&self.failures)
            .filter(|((_, sum), _)| sum.count() > 0)
            .collect();
        let name = "sentinel_store_operation_duration_seconds";
        text.family(name, "histogram", "How long the store took.");
        for (((of, operation, _), sum), _) in &used {
            text.histogram(name, &[("of", of), ("operation", operation)], sum);
        }
        let name = "sentinel_store_failures_total";
        text.family(name, "counter", "Operations that the store could not do.");
        for (((of, operation, _), _), failures) in &used {
            text.sample(name, &[("of", of), ("operation", operation)], failures.get());
        }
    }
}

/// Look-ups in the introspection cache in Redis.
#[derive(Debug, Default)]
pub struct Cache {
    /// Look-ups that the cache answered.
    pub hits: Counter,
    /// Look-ups that went to the store.
    pub misses: Counter,
    /// Look-ups that bypassed the cache because Redis did not answer.
    pub failures: Counter,
    /// Duration of a look-up in Redis.
    pub times: Histogram,
}

impl Cache {
    pub(super) fn write(&self, text: &mut Text) {
        let name = "sentinel_cache_lookups_total";
        text.family(name, "counter", "Look-ups in the cache, by outcome.");
        for (outcome, counter) in
            [("hit", &self.hits), ("miss", &self.misses), ("failure", &self.failures)]
        {
            text.sample(name, &[("outcome", outcome)], counter.get());
        }
        let name = "sentinel_cache_lookup_duration_seconds";
        text.family(name, "histogram", "How long Redis took for a look-up.");
        let mut sum = Sum::default();
        sum.add(&self.times);
        text.histogram(name, &[], &sum);
    }
}

/// Attempts that were rejected by a rate limit.
#[derive(Debug, Default)]
pub struct Throttled {
    /// Rejections because the address has spent its budget, or too many of its attempts wait.
    pub address: Counter,
    /// Rejections because the user name is under attack and the attempt was not admitted in time.
    pub user: Counter,
    /// Rejections because the address has sent too many wrong client secrets.
    pub client: Counter,
}

impl Throttled {
    pub(super) fn write(&self, text: &mut Text) {
        let name = "sentinel_throttled_requests_total";
        text.family(name, "counter", "Attempts refused because of failures before them.");
        for (by, counter) in
            [("address", &self.address), ("user", &self.user), ("client", &self.client)]
        {
            text.sample(name, &[("by", by)], counter.get());
        }
    }
}
