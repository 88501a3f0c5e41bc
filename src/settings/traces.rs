//! `[traces]`: where the spans of calls go.

use ipnet::IpNet;

use super::parse;
use super::reader::Reader;

/// OTLP over HTTP.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The URL that takes them; none: nothing is traced.
    pub endpoint: Option<String>,
    /// How many of a hundred of the other calls.
    pub sample_percent: u8,
    /// The callers that decide whether their calls are traced.
    pub trusted_callers: Vec<IpNet>,
}

impl Traces {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let url = "a URL such as \"http://127.0.0.1:4318/v1/traces\"";
        let endpoint = reader.switchable("traces.endpoint", url, parse::http_url);
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
