//! TLS configuration for clients that accept any certificate.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use sentinel::web::tls::AnyCertificate;

/// Returns a configuration that offers these ALPN protocols.
pub fn trust_any_certificate(protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}
