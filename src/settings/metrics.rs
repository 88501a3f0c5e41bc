//! `[metrics]`: the listener for Prometheus.

use super::bind::{self, Bind};
use super::reader::Reader;

/// Settings of the listener for `GET /metrics`.
#[derive(Clone, Debug)]
pub struct MetricsSettings {
    /// Address of the metrics listener; `None` for no listener. Plain HTTP is allowed on any
    /// address, since scrapes carry no credentials.
    pub bind: Option<Bind>,
}

impl MetricsSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let bind = reader.switchable("metrics.bind", bind::EXPECTED, Bind::parse);
        reader.show("metrics.bind", bind.as_ref().map(Bind::to_string).unwrap_or_default());
        Self { bind }
    }
}
