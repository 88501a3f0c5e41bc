//! `[redis]`: the shared cache and the published tokens.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;
use super::{parse, secret};

/// Settings of the connection to Redis, if Redis is used.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// URL of the Redis server; `None` if Redis is not used.
    pub url: Option<SecretString>,
    /// Whether each access token is published in Redis, for resource servers that read it there, as
    /// a key whose value is the id of the token's user, or of the client if there is no user.
    pub publish_tokens: bool,
    /// PEM file of the certification authorities that Redis is verified against; `None` for those
    /// of the system.
    pub tls_ca: Option<PathBuf>,
    /// PEM file of the client certificate chain for Redis. Set if and only if `tls_key` is set.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the private key of the client certificate for Redis.
    pub tls_key: Option<PathBuf>,
}

impl RedisSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        const SCHEMES: &[&str] =
            &["redis", "rediss", "redis+unix", "unix", "valkey", "valkeys", "valkey+unix"];
        let valid = |text: &str| text.is_empty() || parse::has_scheme(text, SCHEMES);
        let url = secret::read(
            reader,
            "redis.url",
            "a URL that starts with redis://, rediss:// or unix://",
            valid,
        );
        let redis = Self {
            url: (!url.expose_secret().is_empty()).then_some(url),
            publish_tokens: reader.flag("redis.publish_tokens"),
            tls_ca: reader.path("redis.tls_ca"),
            tls_cert: reader.path("redis.tls_cert"),
            tls_key: reader.path("redis.tls_key"),
        };
        if redis.tls_cert.is_some() != redis.tls_key.is_some() {
            reader
                .reject("redis.tls_cert needs redis.tls_key, and the reverse; set both or neither");
        }
        redis.check_scheme(reader);
        redis
    }

    /// Rejects certificates that the Redis URL would leave unused: the operator expects TLS, and
    /// the connection would not have it.
    fn check_scheme(&self, reader: &mut Reader) {
        let Some(url) = &self.url else { return };
        let is_tls = parse::has_scheme(url.expose_secret(), &["rediss", "valkeys"]);
        if !is_tls && (self.tls_ca.is_some() || self.tls_cert.is_some()) {
            reader.reject(
                "redis.tls_ca and redis.tls_cert need a redis.url that starts with rediss://",
            );
        }
    }
}
