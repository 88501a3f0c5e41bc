//! HTTP client for the collector's URL. It sends each POST request on a connection of its own.
//!
//! Its calls block, and run on the thread that sends batches of spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;
use ureq::tls::{Certificate, TlsConfig};

/// Time limit for connecting to the trace collector, and for each write and read.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of bytes read from a response of the trace collector.
const MAX_RESPONSE: u64 = 64 * 1024;

/// Sends spans to a trace collector. Logs once when sending starts to fail, and once when it
/// succeeds again.
#[derive(Debug)]
pub(super) struct OtlpClient {
    agent: Agent,
    is_failing: AtomicBool,
}

impl OtlpClient {
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let uri = url.parse::<actix_web::http::Uri>().map_err(|error| error.to_string())?;
        uri.host().ok_or("the URL has no host")?;
        let is_https = uri.scheme_str() == Some("https");
        let roots = is_https.then(rustls_native_certs::load_native_certs).unwrap_or_default().certs;
        let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(roots.into())
            .unversioned_rustls_crypto_provider(provider);
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_connect(Some(TIMEOUT))
            .timeout_per_write(Some(TIMEOUT))
            .timeout_per_read(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .proxy(None);
        Ok(Self { agent: config.build().new_agent(), is_failing: AtomicBool::new(false) })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, mut body) = self.agent.run(request.map(Vec::from))?.into_parts();
        let body = body.with_config().limit(MAX_RESPONSE).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}

#[async_trait::async_trait]
impl HttpClient for OtlpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let result = self.send(request);
        let failure = match &result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector responded {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        match (failure, &self.is_failing) {
            (Some(error), is_failing) if !is_failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "cannot send spans to traces.endpoint: they are dropped until it accepts them");
            }
            (None, is_failing) if is_failing.swap(false, Ordering::Relaxed) => {
                tracing::info!("traces.endpoint accepts spans again");
            }
            _ => {}
        }
        result
    }
}
