//! `[oauth]`: endpoints, grants and lifetimes.

use std::time::Duration;

use super::keyword::Keyword;
use super::parse;
use super::reader::Reader;
use crate::domain::{Grant, Lifetimes};

/// Settings of the OAuth endpoints, grants, and lifetimes of tokens. The endpoints are paths below
/// `route_prefix`; `None` switches an endpoint off.
#[derive(Clone, Debug)]
pub struct OAuthSettings {
    /// Prefix of endpoint paths: empty, or a path that starts with `/` and does not end with `/`.
    pub route_prefix: String,
    /// Path of the token endpoint (RFC 6749 §3.2) below `route_prefix`; `None` if it is off.
    pub token_url: Option<String>,
    /// Path of the introspection endpoint (RFC 7662 §2) below `route_prefix`; `None` if it is off.
    pub introspection_url: Option<String>,
    /// Path of the revocation endpoint (RFC 7009 §2) below `route_prefix`; `None` if it is off.
    pub revocation_url: Option<String>,
    /// Path, below `route_prefix`, of the endpoint that verifies a bearer token (RFC 6750 §2.1) for
    /// a proxy's `auth_request`; `None` if it is off.
    pub verify_url: Option<String>,
    /// Full path of the metadata document (RFC 8414 §3); `None` switches it off.
    pub metadata_url: Option<String>,
    /// Page that explains error codes, sent as `error_uri` (RFC 6749 §5.2); `None` for no page.
    pub error_uri: Option<ErrorUri>,
    /// Grant types that the server supports; at least one, without duplicates.
    pub grants: Vec<Grant>,
    /// Lifetimes of the tokens and sessions of clients that have none of their own, and the grace
    /// period in which a retry with a used refresh token gets the same response (RFC 9700 §4.14.2).
    /// The grace period may be zero.
    pub lifetimes: Lifetimes,
}

/// Location of the page that explains error codes (RFC 6749 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorUri {
    /// Full path, on this server, of the page that explains error codes.
    Path(String),
    /// Absolute URL, on another server, of the page that explains error codes.
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

/// Returns whether all characters are allowed in an `error_uri`, which "MUST NOT include characters
/// outside the set %x21 / %x23-5B / %x5D-7E" (RFC 6749 §5.2).
fn is_uri(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

impl Keyword for Grant {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        (Self::Password.as_str(), Self::Password),
        (Self::RefreshToken.as_str(), Self::RefreshToken),
        (Self::ClientCredentials.as_str(), Self::ClientCredentials),
    ];
}

impl OAuthSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let route_prefix = reader.url_prefix("oauth.route_prefix");
        let mut grants = Vec::new();
        let one = |text: &str| Grant::from_keyword(text).map(|(_, grant)| grant);
        for grant in reader.list("oauth.grants", &Grant::expected(), true, one) {
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
            lifetimes: Lifetimes {
                access_token: reader.lifetime("oauth.access_token_ttl"),
                refresh_idle: reader.lifetime("oauth.refresh_idle_ttl"),
                session: reader.lifetime("oauth.session_ttl"),
                refresh_grace: reader.duration("oauth.refresh_grace", Duration::ZERO),
            },
        }
    }

    /// Returns the full path of the token endpoint, or `None` if the endpoint is off.
    pub fn token_path(&self) -> Option<String> {
        self.prefixed(self.token_url.as_deref())
    }

    /// Returns the full path of the introspection endpoint, or `None` if the endpoint is off.
    pub fn introspection_path(&self) -> Option<String> {
        self.prefixed(self.introspection_url.as_deref())
    }

    /// Returns the full path of the revocation endpoint, or `None` if the endpoint is off.
    pub fn revocation_path(&self) -> Option<String> {
        self.prefixed(self.revocation_url.as_deref())
    }

    /// Returns the full path of the verify endpoint, or `None` if the endpoint is off.
    pub fn verify_path(&self) -> Option<String> {
        self.prefixed(self.verify_url.as_deref())
    }

    pub(super) fn prefixed(&self, path: Option<&str>) -> Option<String> {
        path.map(|path| format!("{}{path}", self.route_prefix))
    }
}
