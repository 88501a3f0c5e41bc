//! `[redis]`: the shared cache and the published tokens.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;
use super::{parse, secret};

/// Redis, if there is one.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Where it is; none: no Redis.
    pub url: Option<SecretString>,
    /// Whether each access token is published as a key that holds the user's id.
    pub publish_tokens: bool,
    /// The certificates of those who may sign the server's, PEM; none: the system's.
    pub tls_ca: Option<PathBuf>,
    /// The certificate chain that Sentinel shows, PEM. Set with `tls_key` or not at all.
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub tls_key: Option<PathBuf>,
}

impl Redis {
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
            reader.refuse("redis.tls_cert and redis.tls_key go together; set both or neither");
        }
        redis.check_scheme(reader);
        redis
    }

    /// Certificates that would not be looked at are taken for a mistake: the connection is not safe.
    fn check_scheme(&self, reader: &mut Reader) {
        let Some(url) = &self.url else { return };
        let is_tls = parse::has_scheme(url.expose_secret(), &["rediss", "valkeys"]);
        if !is_tls && (self.tls_ca.is_some() || self.tls_cert.is_some()) {
            reader.refuse(
                "redis.tls_ca and redis.tls_cert need a redis.url that starts with rediss://",
            );
        }
    }
}
