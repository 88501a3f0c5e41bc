//! `[server]`: listeners, trusted proxies and limits.

use std::time::Duration;

use ipnet::IpNet;

use super::bind::{self, Bind};
use super::parse;
use super::reader::Reader;

/// Settings of listeners, trusted proxies, and limits on connections and requests.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Addresses that the listeners bind to; at least one.
    pub bind: Vec<Bind>,
    /// Issuer URL (RFC 8414 §2), without a trailing slash. `None` switches off the metadata
    /// document (RFC 8414 §3), and `oauth.error_uri` if that is only a path.
    pub public_url: Option<String>,
    /// Networks of proxies whose `X-Forwarded-*` headers are trusted. IPv4-mapped IPv6 networks are
    /// stored as IPv4 networks.
    pub trusted_proxies: Vec<IpNet>,
    /// Number of I/O threads; 0 for one per core.
    pub workers: usize,
    /// Maximum size of a request body, in bytes.
    pub max_body: u64,
    /// Time limit for receiving the head of a request, and then again for the body.
    pub request_timeout: Duration,
    /// Maximum number of concurrent client connections.
    pub max_connections: usize,
    /// Whether plain HTTP may be served to other machines without a trusted proxy. RFC 6749 §3.2
    /// requires TLS.
    pub allow_plain_http: bool,
}

impl ServerSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let url = "an absolute http or https URL with no query and no fragment";
        let public_url = reader.switchable("server.public_url", url, parse::http_url);
        reader.show("server.public_url", public_url.clone().unwrap_or_default());
        Self {
            bind: reader.list("server.bind", bind::EXPECTED, true, Bind::parse),
            public_url,
            trusted_proxies: reader.list(
                "server.trusted_proxies",
                parse::NETWORK,
                false,
                parse::network,
            ),
            workers: reader.integer("server.workers", 0..=512),
            max_body: reader.size("server.max_body"),
            request_timeout: reader.duration("server.request_timeout", Duration::from_millis(1)),
            max_connections: reader.integer("server.max_connections", 1..=1_000_000),
            allow_plain_http: reader.flag("server.allow_plain_http"),
        }
    }
}
