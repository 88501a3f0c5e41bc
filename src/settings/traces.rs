//! `[traces]`: the export of spans.

use ipnet::IpNet;

use super::parse;
use super::reader::Reader;

/// Settings of the export of tracing spans with OTLP over HTTP.
#[derive(Clone, Debug)]
pub struct TracesSettings {
    /// URL of the OTLP collector; `None` switches tracing off.
    pub endpoint: Option<String>,
    /// Percentage of requests (0 to 100) that are traced if no trusted caller asks for tracing. A
    /// request whose caller declines tracing is never traced.
    pub sample_percent: u8,
    /// Networks of the callers that may demand by `traceparent` that their requests are traced.
    pub trusted_callers: Vec<IpNet>,
}

impl TracesSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let url = "a URL such as \"http://127.0.0.1:4318\"";
        let parse = |text: &str| parse::http_url(text).map(with_path);
        let endpoint = reader.switchable("traces.endpoint", url, parse);
        reader.show("traces.endpoint", endpoint.clone().unwrap_or_default());
        Self {
            endpoint,
            sample_percent: reader.integer("traces.sample_percent", 0..=100),
            trusted_callers: reader.list(
                "traces.trusted_callers",
                parse::NETWORK,
                false,
                parse::network,
            ),
        }
    }
}

/// Appends `/v1/traces` to a collector URL without a path, which stands for all signals, as in
/// `OTEL_EXPORTER_OTLP_ENDPOINT` (OpenTelemetry Protocol Exporter, "Endpoint URLs for OTLP/HTTP").
fn with_path(url: String) -> String {
    let is_host = url.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
    if is_host { format!("{url}/v1/traces") } else { url }
}
