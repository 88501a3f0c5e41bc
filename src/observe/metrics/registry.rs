//! Registration of metrics.

use prometheus::core::Collector;
use prometheus::{PullingGauge, Registry, Result};

/// Function that returns the current value of a gauge.
pub type Gauge = Box<dyn Fn() -> f64 + Send + Sync>;

/// Adds a metric to the registry and returns the metric.
#[expect(clippy::expect_used, reason = "names and labels are constants: tests would find an error")]
pub(super) fn register<M: Collector + Clone + 'static>(
    registry: &Registry,
    metric: Result<M>,
) -> M {
    let metric = metric.expect("name, labels and buckets are valid");
    registry.register(Box::new(metric.clone())).expect("the name is not in use");
    metric
}

/// Adds a gauge whose value is read at each scrape.
pub(super) fn pull(registry: &Registry, name: &str, help: &str, value: Gauge) {
    register(registry, PullingGauge::new(name, help, value));
}
