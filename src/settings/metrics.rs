//! `[metrics]`: the listener for Prometheus.

use super::bind::{self, Bind};
use super::reader::Reader;

/// The listener for `GET /metrics`.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Where; none: nowhere. It carries no credentials, so plain HTTP is not refused here.
    pub bind: Option<Bind>,
}

impl Metrics {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let bind = reader.switchable("metrics.bind", bind::EXPECTED, Bind::parse);
        reader.show("metrics.bind", bind.as_ref().map(Bind::to_string).unwrap_or_default());
        Self { bind }
    }
}
