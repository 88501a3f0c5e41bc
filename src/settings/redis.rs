//! `[redis]`: the shared cache and the published tokens.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;
use super::{parse, secret};

/// Schemes of URLs that name a Unix socket.
const SOCKET_SCHEMES: &[&str] = &["redis+unix", "unix", "valkey+unix"];

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
        let url = driver_url(url.expose_secret()).unwrap_or_else(|problem| {
            reader.reject(problem);
            String::new()
        });
        let redis = Self {
            url: (!url.is_empty()).then(|| url.into()),
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

/// Converts a URL to the form that the Redis driver reads. redis-py, and so flask-sentinel, takes
/// the database from a parameter `db` too, and calls the login for a Unix socket `username` and
/// `password`. The driver would ignore these, and every other parameter.
///
/// # Errors
/// Returns the message for the operator. It quotes no part of the URL: what follows a `?` may be
/// the rest of a password.
fn driver_url(url: &str) -> Result<String, &'static str> {
    if url.contains('#') {
        return Err(
            "redis.url has a part after \"#\", which Sentinel does not support; write a \"#\" in a \
             password as %23",
        );
    }
    let Some((base, query)) = url.split_once('?') else { return Ok(url.to_owned()) };
    let is_socket = parse::has_scheme(url, SOCKET_SCHEMES);
    let (mut database, mut parameters) = (None, form_urlencoded::Serializer::new(String::new()));
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "db" if database.is_none() && value.parse::<u32>().is_ok() => {
                database = Some(value.into_owned());
            }
            "user" | "username" if is_socket => {
                parameters.append_pair("user", &value);
            }
            "pass" | "password" if is_socket => {
                parameters.append_pair("pass", &value);
            }
            _ if is_socket => {
                return Err(
                    "redis.url has a parameter after \"?\" that is not understood; for a Unix \
                     socket, it may have db (a number), username and password",
                );
            }
            _ => {
                return Err(
                    "redis.url has a parameter after \"?\" that is not understood; it may have db, \
                     a number; write a \"?\" in a password as %3F",
                );
            }
        }
    }
    let Some(database) = database else { return Ok(format!("{base}?{}", parameters.finish())) };
    if is_socket {
        return Ok(format!("{base}?{}", parameters.append_pair("db", &database).finish()));
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("redis", base));
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    match path.trim_matches('/') {
        "" => Ok(format!("{scheme}://{server}/{database}")),
        same if same == database => Ok(format!("{scheme}://{server}/{database}")),
        _ => Err("redis.url names two databases, after \"/\" and as db; remove one"),
    }
}
