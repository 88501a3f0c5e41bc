//! `[redis]`: the shared cache and the published tokens.

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
        Self {
            url: (!url.expose_secret().is_empty()).then_some(url),
            publish_tokens: reader.flag("redis.publish_tokens"),
        }
    }
}
