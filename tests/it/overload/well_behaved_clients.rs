//! Well-behaved clients during a load, and their response times: a row of the table in
//! `docs/overload.md`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::raw_connection::get;
use super::target::{Connector, Target};

/// Pause between two requests of one client.
const PACE: Duration = Duration::from_millis(4);

/// Response times of the well-behaved clients, and the server's memory.
pub struct ResponseTimes {
    introspection: Vec<Duration>,
    probes: Vec<Duration>,
    memory: (usize, usize),
}

/// Sends requests throughout `load` and asserts that they succeed. `/healthz` and `/readyz` are
/// requested on a persistent connection, and on a new one each time.
pub async fn watch<T>(target: &Target, load: impl Future<Output = T>) -> (ResponseTimes, T) {
    let over = Arc::new(AtomicBool::new(false));
    let before = target.process().memory();
    let introspection = target.introspection();
    let asking = repeat(&over, target.connector(), vec![introspection], false, |body| {
        assert!(body.contains("\"active\":true"), "{body}");
    });
    let probes = || vec![get("/healthz", ""), get("/readyz", "")];
    let ready = |body: &str| assert!(body.contains("ok"), "{body}");
    let kept = repeat(&over, target.connector(), probes(), false, ready);
    let fresh = repeat(&over, target.connector(), probes(), true, ready);
    let done = load.await;
    over.store(true, Ordering::SeqCst);
    let introspection = asking.await.unwrap();
    let mut probes = kept.await.unwrap();
    probes.extend(fresh.await.unwrap());
    let memory = (before, target.process().memory());
    (ResponseTimes { introspection, probes, memory }, done)
}

/// Repeats requests until `over` is set, at least 20 times, and returns the response times.
fn repeat(
    over: &Arc<AtomicBool>,
    connector: Connector,
    requests: Vec<Vec<u8>>,
    anew: bool,
    check: fn(&str),
) -> tokio::task::JoinHandle<Vec<Duration>> {
    let over = Arc::clone(over);
    tokio::spawn(async move {
        let mut took = Vec::new();
        let mut connection = connector.connect().await;
        while !over.load(Ordering::SeqCst) || took.len() < 20 {
            tokio::time::sleep(PACE).await;
            let started = Instant::now();
            if anew {
                connection = connector.connect().await;
            }
            let reply = connection.ask(&requests[took.len() % requests.len()]).await;
            took.push(started.elapsed());
            assert_eq!(reply.status, 200, "{reply:?}");
            check(&reply.body);
        }
        took
    })
}

impl ResponseTimes {
    /// Prints a row: the load, its responses, and the response times of the well-behaved clients.
    pub fn print(mut self, load: &str, answers: &BTreeMap<u16, usize>) {
        let answers: Vec<_> =
            answers.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        println!(
            "| {load} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} → {} |",
            answers.join(", "),
            self.introspection.len(),
            percentile(&mut self.introspection, 50),
            percentile(&mut self.introspection, 99),
            percentile(&mut self.introspection, 100),
            percentile(&mut self.probes, 100),
            self.memory.0 >> 20,
            self.memory.1 >> 20,
        );
    }
}

/// Returns a percentile, in milliseconds.
pub fn percentile(took: &mut [Duration], percent: usize) -> f64 {
    took.sort_unstable();
    took[(took.len() * percent / 100).min(took.len() - 1)].as_secs_f64() * 1000.0
}
