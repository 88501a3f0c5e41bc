//! `[oauth]`: the endpoints, the grants, and how long tokens live.

use std::time::Duration;

use super::choice::Choice;
use super::grant::GrantName;
use super::parse;
use super::reader::Reader;

/// The protocol's settings. The endpoints are paths below `route_prefix`, or none where switched
/// off.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// What stands before the endpoints: "" or a path from `/` with no slash at its end.
    pub route_prefix: String,
    /// The token endpoint (RFC 6749 §3.2). [`OAuth::token_path`] has the prefix.
    pub token_url: Option<String>,
    /// The introspection endpoint (RFC 7662 §2).
    pub introspection_url: Option<String>,
    /// The revocation endpoint (RFC 7009 §2).
    pub revocation_url: Option<String>,
    /// The endpoint for `auth_request`, which takes a bearer token (RFC 6750 §2.1).
    pub verify_url: Option<String>,
    /// The metadata document (RFC 8414 §3), a full path.
    pub metadata_url: Option<String>,
    /// The page that explains errors (RFC 6749 §5.2).
    pub error_uri: Option<ErrorUri>,
    /// The grants that the server knows at all; at least one, none twice.
    pub grants: Vec<GrantName>,
    /// How long an access token lives unless its client says otherwise.
    pub access_token_ttl: Duration,
    /// How long an unused refresh token lives.
    pub refresh_idle_ttl: Duration,
    /// How long a session lives at most.
    pub session_ttl: Duration,
    /// For how long a retry of a used refresh token gets the same answer (RFC 9700 §4.14.2); may be
    /// zero.
    pub refresh_grace: Duration,
}

/// Where the page that explains errors is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorUri {
    /// Served here, at this full path.
    Path(String),
    /// Served elsewhere, at this absolute URL.
    Url(String),
}

impl ErrorUri {
    fn parse(text: &str) -> Option<Self> {
        let url = || {
            (parse::has_scheme(text, &["https", "http"]) && is_uri(text))
                .then(|| Self::Url(text.to_owned()))
        };
        parse::url_path(text).map(Self::Path).or_else(url)
    }
}

/// RFC 6749 §5.2: error_uri "MUST NOT include characters outside the set %x21 / %x23-5B / %x5D-7E".
fn is_uri(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

impl OAuth {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let route_prefix = reader.url_prefix("oauth.route_prefix");
        let mut grants = Vec::new();
        let one = |text: &str| GrantName::from_word(text).map(|(_, grant)| grant);
        for grant in reader.list("oauth.grants", &GrantName::expected(), true, one) {
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        let error_uri = "a path that starts with \"/\", or an absolute URL";
        Self {
            route_prefix,
            token_url: reader.url_path("oauth.token_url"),
            introspection_url: reader.url_path("oauth.introspection_url"),
            revocation_url: reader.url_path("oauth.revocation_url"),
            verify_url: reader.url_path("oauth.verify_url"),
            metadata_url: reader.url_path("oauth.metadata_url"),
            error_uri: reader.endpoint("oauth.error_uri", error_uri, ErrorUri::parse),
            grants,
            access_token_ttl: reader.lifetime("oauth.access_token_ttl"),
            refresh_idle_ttl: reader.lifetime("oauth.refresh_idle_ttl"),
            session_ttl: reader.lifetime("oauth.session_ttl"),
            refresh_grace: reader.duration("oauth.refresh_grace", Duration::ZERO),
        }
    }

    /// The token endpoint's full path.
    pub fn token_path(&self) -> Option<String> {
        self.prefixed(self.token_url.as_deref())
    }

    /// The introspection endpoint's full path.
    pub fn introspection_path(&self) -> Option<String> {
        self.prefixed(self.introspection_url.as_deref())
    }

    /// The revocation endpoint's full path.
    pub fn revocation_path(&self) -> Option<String> {
        self.prefixed(self.revocation_url.as_deref())
    }

    /// The verify endpoint's full path.
    pub fn verify_path(&self) -> Option<String> {
        self.prefixed(self.verify_url.as_deref())
    }

    pub(super) fn prefixed(&self, path: Option<&str>) -> Option<String> {
        path.map(|path| format!("{}{path}", self.route_prefix))
    }
}
