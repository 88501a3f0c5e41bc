//! `[server]`: where to listen, and what is taken from whom.

use std::time::Duration;

use ipnet::IpNet;

use super::bind::{self, Bind};
use super::parse;
use super::reader::Reader;

/// The listeners and the limits of one request.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where to listen; at least one.
    pub bind: Vec<Bind>,
    /// The issuer (RFC 8414 §2), with no trailing slash. None: no metadata document and no
    /// `error_uri`.
    pub public_url: Option<String>,
    /// The peers whose `X-Forwarded-*` headers count. IPv4-mapped IPv6 networks are kept as IPv4.
    pub trusted_proxies: Vec<IpNet>,
    /// Threads that answer HTTP; 0 is one for each core.
    pub workers: usize,
    /// The largest request body that is read, in bytes.
    pub max_body: u64,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// Whether plain HTTP may be served to other machines with no trusted proxy (RFC 6749 §3.2
    /// wants TLS).
    pub allow_plain_http: bool,
}

impl Server {
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
            workers: reader.integer("server.workers", 0..=1024),
            max_body: reader.size("server.max_body"),
            request_timeout: reader.duration("server.request_timeout", Duration::from_millis(1)),
            allow_plain_http: reader.flag("server.allow_plain_http"),
        }
    }
}
