//! Checks settings of different tables against each other.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::parse;
use super::reader::Reader;
use super::{Backend, ErrorUri, Settings, TlsMode};

/// Paths of the health probe endpoints, which no setting changes.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Minimum number of characters of the operator's password, below which there is a warning.
const MIN_OPERATOR_PASSWORD: usize = 12;

impl Settings {
    /// Rejects settings that contradict each other.
    pub(super) fn cross_check(&self, reader: &mut Reader) {
        self.check_plain_http(reader);
        self.check_paths(reader);
        self.check_addresses(reader);
    }

    /// Rejects plain HTTP on an address that other machines can reach. RFC 6749 §3.2: the server
    /// "MUST require the use of TLS … when sending requests to the token endpoint".
    fn check_plain_http(&self, reader: &mut Reader) {
        let server = &self.server;
        if self.tls.mode != TlsMode::Off
            || server.allow_plain_http
            || !server.trusted_proxies.is_empty()
        {
            return;
        }
        for bind in server.bind.iter().filter(|bind| !bind.is_local()) {
            reader.reject(format!(
                "server.bind = \"{bind}\" would accept passwords over plain HTTP from other \
                 machines: set tls.mode, or list the proxies that terminate TLS in \
                 server.trusted_proxies, or set server.allow_plain_http = true"
            ));
        }
    }

    /// Rejects two endpoints with the same path, since the second would silently be unreachable.
    fn check_paths(&self, reader: &mut Reader) {
        let oauth = &self.oauth;
        let error_path = match &oauth.error_uri {
            Some(ErrorUri::Path(path)) => Some(path.clone()),
            Some(ErrorUri::Url(_)) | None => None,
        };
        let is_below_verify = |path: &str| {
            let verify = oauth.verify_path().filter(|verify| verify != path);
            let rest = verify.and_then(|verify| path.strip_prefix(verify.trim_end_matches('/')));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let mut taken = BTreeMap::from(PROBES.map(|path| (path.to_owned(), "the probe")));
        for (key, path) in [
            ("oauth.token_url", oauth.token_path()),
            ("oauth.introspection_url", oauth.introspection_path()),
            ("oauth.revocation_url", oauth.revocation_path()),
            ("oauth.verify_url", oauth.verify_path()),
            ("oauth.metadata_url", oauth.metadata_url.clone()),
            ("oauth.error_uri", error_path),
            ("management.url", self.management.path(oauth)),
        ] {
            let Some(path) = path else { continue };
            if is_below_verify(&path) {
                reader.reject(format!(
                    "{key} has the path {path}, which is below that of oauth.verify_url; proxies \
                     append the paths of their callers there, so change one of them"
                ));
            }
            if let Some(other) = taken.insert(path.clone(), key) {
                reader.reject(format!(
                    "{other} and {key} have the same path, {path}; change one of them"
                ));
            }
        }
    }

    /// Rejects a listen address that is used twice, since the second listener would not start.
    fn check_addresses(&self, reader: &mut Reader) {
        let mut taken = BTreeMap::new();
        let listeners = self.server.bind.iter().map(|bind| ("server.bind", bind));
        let metrics = self.metrics.bind.iter().map(|bind| ("metrics.bind", bind));
        for (key, bind) in listeners.chain(metrics).filter(|(_, bind)| !bind.is_any_port()) {
            match taken.insert(bind.to_string(), key) {
                Some(other) if other == key => {
                    reader.reject(format!("{key} lists {bind} twice; remove one"));
                }
                Some(other) => reader.reject(format!(
                    "{other} and {key} have the same address, {bind}; change one of them"
                )),
                None => {}
            }
        }
    }

    /// Returns one sentence for each setting that is set and has no effect because of a setting in
    /// another table.
    pub(super) fn ineffective_settings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.is_any_changed("mongo") && self.store.backend == Backend::Embedded {
            found.push(
                "the settings in [mongo] are ignored, because store.backend is \"embedded\""
                    .to_owned(),
            );
        }
        let tls = &self.tls;
        let mode = match tls.mode {
            TlsMode::Off => Some("off"),
            TlsMode::SelfSigned => Some("self-signed"),
            TlsMode::Files => None,
        };
        let files = named(&[
            ("tls.cert", tls.cert.is_some()),
            ("tls.key", tls.key.is_some()),
            ("tls.hsts_max_age", self.is_changed("tls.hsts_max_age")),
        ]);
        if let (Some(mode), Some(names)) = (mode, files) {
            found.push(format!(
                "{names} ignored, because tls.mode is \"{mode}\"; set it to \"files\" to use them"
            ));
        }
        let redis = &self.redis;
        let files = named(&[
            ("redis.tls_ca", redis.tls_ca.is_some()),
            ("redis.tls_cert", redis.tls_cert.is_some()),
            ("redis.tls_key", redis.tls_key.is_some()),
        ]);
        if let (None, Some(names)) = (&redis.url, files) {
            found.push(format!("{names} ignored, because redis.url is not set"));
        }
        let lifetimes = &self.oauth.lifetimes;
        if lifetimes.session < lifetimes.access_token {
            found.push(format!(
                "oauth.session_ttl ({}) is shorter than oauth.access_token_ttl ({}): access tokens end \
                 with their session",
                parse::show_duration(lifetimes.session),
                parse::show_duration(lifetimes.access_token)
            ));
        }
        let cors = &self.cors;
        if cors.allowed_origins.is_empty() && !cors.allowed_headers.is_empty() {
            found.push(
                "cors.allowed_headers is ignored, because cors.allowed_origins is empty".to_owned(),
            );
        }
        found
    }
}

impl Settings {
    /// Returns a warning if the operator's password is so short that it can be guessed despite the
    /// rate limits.
    pub(super) fn weak_password(&self) -> Option<String> {
        let (_, password) = self.management.credentials()?;
        let is_short = password.expose_secret().chars().count() < MIN_OPERATOR_PASSWORD;
        is_short.then(|| {
            format!(
                "management.password has fewer than {MIN_OPERATOR_PASSWORD} characters; with it, \
                 anyone can set the password of every user: use a longer one, such as the output of \
                 `openssl rand -base64 18`"
            )
        })
    }
}

/// Returns the names of the settings that are set, if any, as the subject of a sentence.
fn named(settings: &[(&str, bool)]) -> Option<String> {
    let set: Vec<_> = settings.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
    match set.as_slice() {
        [] => None,
        [only] => Some(format!("{only} is")),
        [others @ .., last] => Some(format!("{} and {last} are", others.join(", "))),
    }
}
