//! From `[redis]` to the server: its URL, and the certificates for `rediss://`.

use std::path::Path;

use deadpool_redis::redis::{Client, ClientTlsConfig, RedisError, TlsCertificates};
use secrecy::ExposeSecret;

use crate::settings;
use crate::store::{Result, StoreError};

/// Connects to nothing yet.
pub(super) fn read(settings: &settings::Redis) -> Result<Client> {
    let url = settings.url.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    let root_cert =
        settings.tls_ca.as_deref().map(|path| file("redis.tls_ca", path)).transpose()?;
    let client_tls = match (&settings.tls_cert, &settings.tls_key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig {
            client_cert: file("redis.tls_cert", cert)?,
            client_key: file("redis.tls_key", key)?,
        }),
        _ => None,
    };
    if root_cert.is_none() && client_tls.is_none() {
        return Client::open(url).map_err(|error| unusable(&error));
    }
    Client::build_with_tls(url, TlsCertificates { client_tls, root_cert })
        .map_err(|error| unusable(&error))
}

pub(super) fn unusable(error: &RedisError) -> StoreError {
    StoreError::Unusable(format!("redis.url cannot be used: {error}"))
}

/// A file with at least one PEM section in it: one with none would trust nobody, and say so only when
/// the first connection fails.
fn file(key: &str, path: &Path) -> Result<Vec<u8>> {
    let cannot = |reason: &str| {
        StoreError::Unusable(format!("{key}: cannot use {}: {reason}", path.display()))
    };
    let bytes = std::fs::read(path).map_err(|error| cannot(&error.to_string()))?;
    let is_pem = String::from_utf8_lossy(&bytes).contains("-----BEGIN ");
    if is_pem { Ok(bytes) } else { Err(cannot("it is no PEM file")) }
}
