//! Conversion of the `[redis]` settings to a client: the URL, and the certificates for `rediss://`.

use deadpool_redis::redis::{Client, ClientTlsConfig, RedisError, TlsCertificates};
use secrecy::ExposeSecret;

use crate::settings;
use crate::store::{Result, StoreError, pem};

/// Builds the Redis client from the `[redis]` settings without connecting. Reads the certificate
/// files.
pub(super) fn read(settings: &settings::RedisSettings) -> Result<Client> {
    let url = settings.url.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    let root_cert = settings
        .tls_ca
        .as_deref()
        .map(|path| pem::certificates("redis.tls_ca", path))
        .transpose()?;
    let client_tls = match (&settings.tls_cert, &settings.tls_key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig {
            client_cert: pem::certificates("redis.tls_cert", cert)?,
            client_key: pem::private_key("redis.tls_key", key)?,
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
    // The error kind is a Rust name and does not help an operator.
    let message = error.to_string().replace(&format!(" - {:?}", error.kind()), "");
    StoreError::Configuration(format!("redis.url cannot be used: {message}"))
}
